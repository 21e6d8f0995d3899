import Messages

/// Which processes are left over from commands that have ended. A command's process group is killed with it; what has left
/// the group, as daemons do, becomes a child of the Supervisor when its parent ends, and is told here by its job. Pure.
public struct Leftovers: Sendable {
  /// A child of the Supervisor that it did not start.
  public struct Orphan: Sendable, Hashable {
    public var session: Int32
    /// In clock ticks after boot.
    public var startTime: UInt64
    /// The job that its environment names; nil when that names none or cannot be read.
    public var job: JobID?

    public init(session: Int32, startTime: UInt64, job: JobID?) {
      self.session = session
      self.startTime = startTime
      self.job = job
    }
  }

  private struct Run: Sendable {
    var job: JobID?
    var startTime: UInt64
  }

  /// Whether there may be children that belong to no command: from before the Supervisor's start, or, where it is the first
  /// process of a container, everybody's.
  private let hasStrangers: Bool
  /// The commands and hooks that run, by their pids.
  private var runs: [Int32: Run] = [:]

  public init(hasStrangers: Bool) { self.hasStrangers = hasStrangers }

  /// - Parameter job: nil for a hook.
  public mutating func started(_ pid: Int32, job: JobID?, startTime: UInt64) {
    runs[pid] = Run(job: job, startTime: startTime)
  }

  public mutating func ended(_ pid: Int32) { runs[pid] = nil }

  /// Whether a command or a hook runs that leads this session.
  public func hasRun(inSession session: Int32) -> Bool { runs[session] != nil }

  /// Whether it is to be ended.
  /// - Parameter orphan: nil when nothing of it is to be seen.
  public func isLeftOver(_ orphan: Orphan?) -> Bool {
    guard let orphan else { return !hasStrangers && runs.isEmpty }
    if hasRun(inSession: orphan.session) { return false }
    if let job = orphan.job { return !runs.values.contains { $0.job == job } }
    // Nothing names its job. It is none of those that have begun since it did.
    return !hasStrangers && !runs.values.contains { $0.startTime <= orphan.startTime }
  }
}
