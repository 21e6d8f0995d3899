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
  /// How long after it was killed a process is said to be still there.
  private static let patience: Int64 = 5_000_000_000

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
  /// Processes that were killed and are still to be reaped, and when that is to be said, or `said`.
  private var killed: [pid_t: Int64] = [:]
  private static let said = Int64.max
  private let finder: JobFinder
  /// The jobs that orphans name, by their sessions, and until when that holds: a process that makes another and ends is gone
  /// before it could be looked at twice.
  private var sessions: [pid_t: (job: JobID, until: Int64)] = [:]
  private static let memory: Int64 = 10_000_000_000
  private var isFinding = false
  /// Somebody has ended since the finding began.
  private var findsAgain = false
  private var signal: EventLoop.Source?
  private var timer: EventLoop.Source?
  private var isDue = false
  /// What earlier Supervisors have left of their jobs, once somebody has asked and it was found; and the jobs asked for.
  private var earlier: [JobID: [ProcessSight]]?
  private var isFindingEarlier = false
  private var wanted: Set<JobID> = []

  init(
    loop: EventLoop, logger: Logger, socketPath: @escaping (JobID) -> String, endsLeftovers: @escaping () -> Bool
  ) throws(SystemError) {
    self.logger = logger
    self.socketPath = socketPath
    self.endsLeftovers = endsLeftovers
    finder = JobFinder(loop: loop)
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

  /// A process that was started and is not watched has been killed. It is reaped when it ends.
  func wasKilled(_ pid: pid_t) {
    leftovers.ended(pid)
    own.remove(pid)
    killed[pid] = Clock.bootNanoseconds + Self.patience
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
    for pid in orphans where ProcessTable.reap(pid) { killed[pid] = nil }
    sayWhoStays()
    endOrphans()
    if !isDue { timer?.fire(atNanoseconds: killed.values.filter { $0 != Self.said }.min()) }
  }

  private func sayWhoStays() {
    for (pid, due) in killed where due <= Clock.bootNanoseconds {
      killed[pid] = Self.said
      let text = "it is still there, killed: it waits in the kernel, as for a file system that does not answer"
      logger.log(LogEntry(.warning, .commandStopped, text, pid: pid))
    }
  }

  private var orphans: [pid_t] { ProcessTable.children(of: getpid()).filter { !own.contains($0) } }

  /// Ends what is left over, as much of it as one turn may take.
  /// - Parameter found: those whose environment has just been looked at, by their start.
  private func endOrphans(found: [pid_t: UInt64] = [:]) {
    guard endsLeftovers() else { return }
    sessions = sessions.filter { $0.value.until > Clock.bootNanoseconds }
    var unknown: [ProcessSight] = []
    var ended: [JobID?: Int] = [:]
    var left = Self.turn
    for pid in orphans where left > 0 && killed[pid] == nil {
      let sight = ProcessTable.sight(pid)
      if let sight {
        if sight.hasEnded || leftovers.hasRun(inSession: sight.session) { continue }
        if sessions[sight.session] == nil, found[pid] != sight.startTime {
          unknown.append(sight)
          continue
        }
      }
      let orphan = sight.map {
        Leftovers.Orphan(session: $0.session, startTime: $0.startTime, job: sessions[$0.session]?.job)
      }
      guard leftovers.isLeftOver(orphan) else { continue }
      let count = ProcessTable.endTree(pid, limit: left)
      guard count > 0 else { continue }
      left -= count
      killed[pid] = Clock.bootNanoseconds + Self.patience
      ended[orphan?.job, default: 0] += count
    }
    for (job, count) in ended {
      say("\(count) processes that had left the process group of a command are ended with it", job)
    }
    // Those who were in the middle of making another process are followed by it.
    if !ended.isEmpty { lookSoon() }
    // Who has come since the others were looked for comes with the next end.
    if found.isEmpty { find(unknown) }
  }

  /// Finds the jobs of orphans, and then ends those that are left over.
  private func find(_ unknown: [ProcessSight]) {
    guard !unknown.isEmpty else { return }
    guard !isFinding else {
      findsAgain = true
      return
    }
    isFinding = true
    finder.find(unknown) { [weak self] named, _ in
      guard let self else { return }
      self.isFinding = false
      let until = Clock.bootNanoseconds + Self.memory
      for one in named { if let job = self.job(one) { self.sessions[one.process.session] = (job, until) } }
      self.endOrphans(found: Dictionary(unknown.map { ($0.pid, $0.startTime) }) { $1 })
      if self.findsAgain { self.lookSoon() }
      self.findsAgain = false
    }
  }

  /// The job whose command a process descends from, if it was started with the environment of one.
  private func job(_ named: JobFinder.Named) -> JobID? {
    guard let job = JobID(named.job), named.socket == socketPath(job) else { return nil }
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
    guard endsLeftovers() else { return }
    wanted.insert(job)
    if earlier == nil { findEarlier() } else { endWanted() }
  }

  private func endWanted() {
    for job in wanted {
      let count = earlier?.removeValue(forKey: job)?.count { ProcessTable.end($0.pid, startedAt: $0.startTime) } ?? 0
      if count > 0 { say("\(count) processes that an earlier Supervisor had left running are ended", job) }
    }
    wanted = []
  }

  private func findEarlier() {
    guard !isFindingEarlier else { return }
    isFindingEarlier = true
    let others = ProcessTable.all.filter { !own.contains($0) }.compactMap { ProcessTable.sight($0) }
    finder.find(others) { [weak self] named, isWhole in
      guard let self else { return }
      var found: [JobID: [ProcessSight]] = [:]
      for one in named { if let job = self.job(one) { found[job, default: []].append(one.process) } }
      self.earlier = found
      let asked = self.wanted
      self.endWanted()
      guard !isWhole else { return }
      // It is looked for again when the next one asks.
      self.earlier = nil
      self.isFindingEarlier = false
      self.wanted = asked
    }
  }
}
