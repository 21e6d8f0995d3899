import Decisions
import Glibc
import Journal
import Logging
import Messages
import Platform

/// Reaps the processes that become ours when their parents end, and ends those that are left over from commands and hooks.
/// `Leftovers` says which. One process is looked at as one: nothing here waits for whatever child comes first, since each
/// process that we started is reaped by the event source that watches it.
final class Reaper {
  /// How many processes are ended in one turn of the loop.
  private static let turn = 256
  /// How long after a child's end is looked again: others end with it.
  private static let rest: Int64 = 5_000_000

  private let logger: Logger
  /// Where the job's workers connect, as its command was told.
  private let socketPath: (JobID) -> String
  /// Whether commands end with all that they have started.
  private let endsLeftovers: () -> Bool
  private var leftovers: Leftovers
  private var lines: LineLimits<JobID?>
  /// Processes that we started and watch.
  private var own: Set<pid_t> = []
  /// Those of them that are being reaped.
  private var reaped: [pid_t] = []
  /// Orphans that were killed and are still to be reaped.
  private var killed: Set<pid_t> = []
  private var signal: EventLoop.Source?
  private var timer: EventLoop.Source?
  private var isDue = false
  /// What earlier Supervisors have left of their jobs, once somebody has asked.
  private lazy var earlier = findEarlier()

  init(
    loop: EventLoop, logger: Logger, socketPath: @escaping (JobID) -> String, endsLeftovers: @escaping () -> Bool
  ) throws(SystemError) {
    self.logger = logger
    self.socketPath = socketPath
    self.endsLeftovers = endsLeftovers
    leftovers = Leftovers(hasStrangers: getpid() == 1 || !ProcessTable.children(of: getpid()).isEmpty)
    lines = LineLimits(LineLimit.complaints, at: Instant(nanoseconds: Clock.bootNanoseconds))
    try ProcessTable.becomeSubreaper()
    signal = try loop.add(signal: SIGCHLD) { [weak self] in self?.lookSoon() }
    timer = try loop.addTimer { [weak self] in self?.look() }
  }

  /// One of our programs was started.
  func started(_ pid: pid_t) {
    own.insert(pid)
    // It may have the number of one that has just been reaped.
    reaped.removeAll { $0 == pid }
  }

  /// A command was started, or a hook if it has no job.
  func started(_ pid: pid_t, command job: JobID?) {
    started(pid)
    leftovers.started(pid, job: job, startTime: ProcessTable.startTime(of: pid) ?? 0)
  }

  /// A process that was started has ended, and is reaped when its handler has returned. Ends what it has left over.
  func ended(_ pid: pid_t) {
    leftovers.ended(pid)
    reaped.append(pid)
    endOrphans()
    lookSoon()
  }

  private func lookSoon() {
    guard !isDue else { return }
    isDue = true
    timer?.fire(atNanoseconds: Clock.bootNanoseconds + Self.rest)
  }

  private func look() {
    isDue = false
    own.subtract(reaped)
    reaped = []
    for pid in orphans where ProcessTable.reap(pid) { killed.remove(pid) }
    endOrphans()
  }

  private var orphans: [pid_t] { ProcessTable.children(of: getpid()).filter { !own.contains($0) } }

  /// Ends what is left over, as much of it as one turn may take.
  private func endOrphans() {
    guard endsLeftovers() else { return }
    var ended: [JobID?: Int] = [:]
    var left = Self.turn
    for pid in orphans where left > 0 && !killed.contains(pid) {
      let sight = ProcessTable.sight(pid)
      if sight?.hasEnded == true { continue }
      let orphan = sight.map { Leftovers.Orphan(session: $0.session, startTime: $0.startTime, job: job(of: pid)) }
      guard leftovers.isLeftOver(orphan) else { continue }
      let count = ProcessTable.endTree(pid, limit: left)
      left -= count
      if count > 0 { killed.insert(pid) }
      ended[orphan?.job, default: 0] += count
    }
    for (job, count) in ended where count > 0 {
      say("\(count) processes that had left the process group of a command are ended with it", job)
    }
    // Those who were in the middle of making another process are followed by it.
    if !ended.isEmpty { lookSoon() }
  }

  /// The job whose command a process descends from, if it was started with the environment of one.
  private func job(of pid: pid_t) -> JobID? {
    guard let job = ProcessTable.variable("HORDELINK_JOB_UUID", of: pid).flatMap({ JobID($0) }),
      ProcessTable.variable("HORDELINK_SOCKET", of: pid) == socketPath(job)
    else { return nil }
    return job
  }

  private func say(_ text: String, _ job: JobID?) {
    let (passes, dropped) = lines.admit(job, at: Instant(nanoseconds: Clock.bootNanoseconds))
    guard passes else { return }
    for text in [LineLimit.leftOut(dropped), text].compactMap(\.self) {
      logger.log(LogEntry(.notice, .commandStopped, text, job: job))
    }
  }

  // MARK: Earlier Supervisors

  /// Ends what an earlier Supervisor has left running of a job, wherever it is.
  func endEarlier(_ job: JobID) {
    guard endsLeftovers(), let found = earlier.removeValue(forKey: job) else { return }
    let count = found.count { ProcessTable.end($0.pid, startedAt: $0.startTime) }
    if count > 0 { say("\(count) processes that an earlier Supervisor had left running are ended", job) }
  }

  private func findEarlier() -> [JobID: [ProcessSight]] {
    var found: [JobID: [ProcessSight]] = [:]
    for pid in ProcessTable.all where !own.contains(pid) {
      guard let job = job(of: pid), let sight = ProcessTable.sight(pid) else { continue }
      found[job, default: []].append(sight)
    }
    return found
  }
}
