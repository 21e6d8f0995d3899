import Decisions
import Glibc
import Messages
import Platform
import Rehearsal
import Synchronization
import WorkerClient

/// Real processes under load, killed again and again: by a signal from outside at any time, and by themselves at a
/// step of an update's way that was chosen. In the end, what workers were told is compared with what the facilitator
/// has.
public final class Campaign {
  /// Whose work is done in a campaign.
  public enum Kind: Sendable {
    /// Jobs are started by a launcher, and this process is their worker and keeps what it was told.
    case launcher
    /// Jobs run the demo worker, which dies with its service and is killed like everything else.
    case worker
  }

  private struct Worker: Sendable {
    var job: JobID
    var acknowledged: [JobStatus]
    var failure: String?
  }

  /// What a job's worker reports, in this order.
  static let script: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]
  /// Jobs that are open at once.
  private static let load = 8
  /// Where a process kills itself, in debug builds.
  private static let failpoints = [
    "listener.received", "listener.answering", "listener.answered", "listener.finishing", "uplink.committing",
    "uplink.stored", "uplink.sending", "uplink.sent", "uplink.accepted", "uplink.retired", "uplink.dispatching",
    "supervisor.spawned", "supervisor.dispatching", "supervisor.dispatched",
  ]

  private let kind: Kind
  private let rehearsal: Rehearsal
  private var dice: Dice
  private var counts = Counts()
  private var read = 0
  private var connected = false
  /// Jobs that the facilitator has sent, with when they were last asked for, until it has their `received`.
  private var asked: [JobID: Int64] = [:]
  private var accepted: [JobID: [JobStatus]] = [:]
  private var open: Set<JobID> = []
  private let results = Mailbox<Worker>()
  /// Jobs that have their terminal status with the facilitator, for workers that wait for nobody.
  private let ended = Ended()
  private var told: [Worker] = []
  private var waitedFor = 0
  private var armed: [String] = []

  private var failpointFolder: String { rehearsal.folder + "/failpoints" }

  private init(_ kind: Kind, programs: String, seed: UInt64) throws {
    self.kind = kind
    dice = Dice(seed: seed)
    var settings = Rehearsal.Settings(programs: programs, command: ["/bin/true"])
    settings.commandIsLauncher = kind == .launcher
    if kind == .worker { settings.command = [programs + "/hordelink-demo-worker"] }
    settings.failpoints = true
    rehearsal = try Rehearsal(settings)
  }

  /// Runs until that many processes were killed and everything has come to rest.
  ///
  /// - Parameters:
  ///   - programs: the folder of the programs.
  ///   - progress: is told how far it is, now and then.
  public static func run(
    _ kind: Kind, kills: Int, programs: String, seed: UInt64, progress: (String) -> Void = { _ in }
  ) throws -> Counts {
    let campaign = try Campaign(kind, programs: programs, seed: seed)
    defer { campaign.rehearsal.tearDown() }
    do {
      try campaign.rage(kills, progress)
      try campaign.rest()
    } catch {
      campaign.counts.findings.append("\(error)\nthe log of the programs:\n\(campaign.rehearsal.log.suffix(20_000))")
    }
    return campaign.counts
  }

  // MARK: Under fire

  private func rage(_ kills: Int, _ progress: (String) -> Void) throws {
    try rehearsal.startSupervisor()
    var nextKill = Clock.bootNanoseconds
    var said = 0
    while counts.killed < kills {
      try turn()
      while open.count < Self.load, connected { try startJob() }
      if Clock.bootNanoseconds >= nextKill {
        try strike()
        nextKill = Clock.bootNanoseconds + .random(in: 1_000_000...150_000_000, using: &dice)
      }
      if counts.killed >= said + 50 {
        said = counts.killed
        progress("\(said) kills, \(counts.jobs) jobs")
      }
    }
    for name in armed { unlink("\(failpointFolder)/\(name)") }
    armed = []
  }

  /// One thing that happens to the service.
  private func strike() throws {
    // Full of files, each process would die at its first step: one or two wait at a time.
    if armed.count < 2, Int.random(in: 0..<3, using: &dice) == 0, let name = Self.failpoints.randomElement(using: &dice)
    {
      armed.append(name)
      try Rehearsal.write([], to: "\(failpointFolder)/\(name)", mode: 0o600)
    }
    switch Int.random(in: 0..<20, using: &dice) {
    case 0...6: kill("uplink", children(named: "hordelink-uplin").randomElement(using: &dice))
    case 7...13: kill("listener", children(named: "hordelink-liste").randomElement(using: &dice))
    case 14: kill("command", children(named: "hordelink-demo-").randomElement(using: &dice))
    case 15...17: kill("supervisor", rehearsal.supervisor?.pid)
    case 18 where Int.random(in: 0..<4, using: &dice) == 0:
      for pid in children(named: "hordelink-") { kill("everything", pid) }
      kill("supervisor", rehearsal.supervisor?.pid)
    default: break
    }
  }

  private func kill(_ name: String, _ pid: pid_t?) {
    guard let pid, ProcessTable.signal(pid, SIGKILL) else { return }
    counts.kills[name, default: 0] += 1
  }

  /// The Supervisor's children whose name begins so, as the kernel has it: cut to 15 characters.
  private func children(named name: String) -> [pid_t] {
    guard let pid = rehearsal.supervisor?.pid,
      let bytes = try? Files.read("/proc/\(pid)/task/\(pid)/children", limit: 65_536)
    else { return [] }
    return String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }.filter { child in
      guard let comm = try? Files.read("/proc/\(child)/comm", limit: 64) else { return false }
      return String(decoding: comm, as: UTF8.self).hasPrefix(name)
    }
  }

  // MARK: The world around

  /// Takes in what has happened, and starts the Supervisor again if it is gone, as systemd would.
  private func turn() throws {
    try rehearsal.facilitator.read(milliseconds: 5)
    let events = rehearsal.facilitator.events
    while read < events.count {
      take(events[read])
      read += 1
    }
    armed.removeAll { name in
      guard access("\(failpointFolder)/\(name)", F_OK) != 0 else { return false }
      counts.kills[name, default: 0] += 1
      return true
    }
    if let supervisor = rehearsal.supervisor, try supervisor.wait(milliseconds: 0) != nil {
      try rehearsal.startSupervisor()
    }
    try askAgain()
  }

  private func take(_ event: FacilitatorEvent) {
    switch event.name {
    case "authenticated": connected = true
    case "disconnected", "connected": connected = false
    case "accepted":
      guard let job = JobID(event.text("uuid")) else { return }
      let status = JobStatus(name: event.text("status"))
      accepted[job, default: []].append(status)
      if status == .received, asked.removeValue(forKey: job) != nil { work(on: job) }
      if status.isTerminal {
        open.remove(job)
        ended.insert(job)
      }
    default: break
    }
  }

  private func startJob() throws {
    let job = JobID(high: dice.next(), low: dice.next())
    open.insert(job)
    counts.jobs += 1
    try ask(job)
  }

  private func ask(_ job: JobID) throws {
    asked[job] = Clock.bootNanoseconds
    try rehearsal.facilitator.sendJob(job, arguments: ["true"], limits: [600, 600, 600, 600])
  }

  /// A request may have been lost with its connection; one that is known starts nothing twice.
  private func askAgain() throws {
    guard connected else { return }
    for (job, at) in asked.sorted(by: { $0.key < $1.key }) where Clock.bootNanoseconds - at > 3_000_000_000 {
      try ask(job)
    }
  }

  /// Reports the job's statuses on a thread of its own, one by one or several at once.
  private func work(on job: JobID) {
    guard kind == .launcher else { return }
    waitedFor += 1
    let socket = rehearsal.workerSocket(job)
    let pipelines = Bool.random(using: &dice)
    let (results, ended) = (results, ended)
    do {
      try BackgroundThread.start {
        let client = WorkerClient(socketPath: socket, job: job, patienceMilliseconds: 10_000)
        var worker = Worker(job: job, acknowledged: [])
        let batches = pipelines ? [Self.script] : Self.script.map { [$0] }
        do {
          for batch in batches {
            guard let answers = try Self.report(batch, client, until: { ended.contains(job) }) else { break }
            for (status, answer) in zip(batch, answers) {
              if answer == .stored {
                worker.acknowledged.append(status)
              } else if !ended.contains(job) {
                worker.failure = "\(status.name) is answered \(answer)"
              }
            }
          }
        } catch {
          worker.failure = "\(error)"
        }
        results.put(worker)
      }
    } catch {
      counts.findings.append("no thread for a worker: \(error)")
    }
  }

  /// Reports until there is an answer to each. Returns nil when the job has ended by other means, and its socket with
  /// it: a launcher that was killed, or a service that was.
  private static func report(
    _ batch: [JobStatus], _ client: WorkerClient, until isOver: () -> Bool
  ) throws -> [WorkerClient.Answer]? {
    while true {
      do throws(WorkerClient.Failure) {
        return try client.send(batch.map { WorkerClient.Update($0) })
      } catch {
        guard case .noAnswer = error else { throw error }
        if isOver() { return nil }
      }
    }
  }

  // MARK: At rest

  /// No more kills: every worker comes to its end, and every job.
  private func rest() throws {
    let until = Clock.bootNanoseconds + 240_000_000_000
    while !open.isEmpty || !asked.isEmpty, Clock.bootNanoseconds < until { try turn() }
    if !open.isEmpty { counts.findings.append("\(open.count) jobs did not end in four minutes") }
    while told.count < waitedFor, let (some, _) = results.takeAll() { told += some }
    // What is delivered late is seen as well.
    while try rehearsal.facilitator.read(milliseconds: 500) {}
    try turn()
    compare()
  }

  private func compare() {
    for worker in told {
      counts.acknowledged += worker.acknowledged.count
      let got = accepted[worker.job] ?? []
      let lost = worker.acknowledged.filter { !got.contains($0) }
      counts.lost += lost.count
      if !lost.isEmpty { counts.findings.append("\(worker.job): \(lost.map(\.name)) acknowledged and lost") }
      if let failure = worker.failure { counts.findings.append("\(worker.job): \(failure)") }
    }
    for (job, statuses) in accepted.sorted(by: { $0.key < $1.key }) {
      counts.accepted += statuses.count
      let names = statuses.map(\.name)
      let places = statuses.compactMap { ([.received] + Self.script + [.hordeFailed]).firstIndex(of: $0) }
      if places != places.sorted() || places.count != statuses.count {
        counts.outOfOrder += 1
        counts.findings.append("\(job): accepted in the order \(names)")
      }
      if Set(names).count != names.count {
        counts.twice += 1
        counts.findings.append("\(job): accepted twice, \(names)")
      }
      if statuses.count(where: \.isTerminal) != 1 || statuses.last?.isTerminal != true {
        counts.withoutEnd += 1
        counts.findings.append("\(job): not one terminal status at its end, \(names)")
      }
    }
  }
}

/// A set of jobs that threads share.
private final class Ended: Sendable {
  private let jobs = Mutex<Set<JobID>>([])

  func insert(_ job: JobID) { jobs.withLock { _ = $0.insert(job) } }
  func contains(_ job: JobID) -> Bool { jobs.withLock { $0.contains(job) } }
}
