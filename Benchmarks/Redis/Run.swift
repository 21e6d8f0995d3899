import Glibc
import Measurements
import Messages
import Platform
import Rehearsal

enum Layer: String, Sendable {
  case pubsub
  case core
}

/// The whole service beside a redis-server, and as many jobs as were asked for.
final class Run {
  private static let statuses: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]
  private static let patience = 120_000
  private static let senders = 4

  private let layer: Layer
  private let redis: RedisProcess
  private let rehearsal: Rehearsal
  private let jobs: [JobID]
  /// What the facilitator has accepted so far, in its order.
  private var accepted: [JobID: [JobStatus]] = [:]
  private var acceptedCount = 0
  private var heard = 0

  init(_ layer: Layer, jobs count: Int, programs: String) throws {
    self.layer = layer
    // The core layer takes two connections a job.
    redis = try RedisProcess(["--maxclients", "\(2 * count + 100)"])
    // Nothing is to be done for a job: its reports come from here.
    var settings = Rehearsal.Settings(programs: programs, command: ["/bin/true"])
    settings.commandIsLauncher = true
    settings.more["channel"] = """
      kind = "redis"
      redis_layer = "\(layer.rawValue)"
      redis_url = "unix://\(redis.socket)"
      """
    settings.more["jobs"] = "max_open = \(count)"
    rehearsal = try Rehearsal(settings)
    jobs = (0..<UInt64(count)).map { JobID(high: 0x4000, low: 0x8000 << 48 | $0) }
    try rehearsal.startSupervisor()
    try rehearsal.waitUntilConnected()
  }

  func tearDown() {
    rehearsal.tearDown()
    redis.tearDown()
  }

  func measure() throws {
    let start = Clock.bootNanoseconds
    for (number, job) in jobs.enumerated() {
      try rehearsal.facilitator.sendJob(job, limits: [600, 600, 600, 600])
      if number % 50 == 49 { try rehearsal.facilitator.read(milliseconds: 0) }
    }
    let listeners = try waitForListeners()
    let listening = Clock.bootNanoseconds
    try report(Self.statuses.dropLast())
    let reported = Clock.bootNanoseconds
    let memory = try listeners.map { try Memory(of: $0) }
    let looked = Clock.bootNanoseconds - reported
    try report(Self.statuses.suffix(1))
    let end = Clock.bootNanoseconds

    let expected = [.received] + Self.statuses
    let wrong = jobs.filter { accepted[$0] != expected }
    guard wrong.isEmpty else { throw RehearsalError("not complete, or not in order: \(wrong)") }
    let whole = end - start - looked
    let reports = end - listening - looked
    print(
      "\(layer.rawValue): \(jobs.count) jobs at once, all complete and in order, \(seconds(whole)) s from the first request to "
        + "the last acceptance, \(rate(acceptedCount, whole)) updates a second; all Listeners ready after "
        + "\(seconds(listening - start)) s, then \(rate(jobs.count * Self.statuses.count, reports)) reports a second")
    print(Memory.line("hordelink-listener, \(layer.rawValue)", memory))
    try wait("the end of all Listeners, keys and subscriptions") {
      guard try jobListeners().isEmpty, try redis.keys.isEmpty else { return false }
      return try Set(redis.channels).isDisjoint(with: jobs.map(RedisChannelSettings.channel))
    }
    try rehearsal.stopSupervisor()
  }

  private func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds / 10_000_000) / 100 }

  private func rate(_ count: Int, _ nanoseconds: Int64) -> Int { Int(Double(count) / Double(nanoseconds) * 1e9) }

  private func jobListeners() throws -> [ChildReport] {
    // To tell of a thousand children is work for the Supervisor, which has better to do.
    try rehearsal.facilitator.read(milliseconds: 200)
    return try rehearsal.report()?.children.filter { $0.name == "listener" } ?? []
  }

  /// The pids of all jobs' Listeners, once all are ready.
  private func waitForListeners() throws -> [pid_t] {
    var ready: [pid_t] = []
    try wait("all Listeners to be ready") {
      guard acceptedCount == jobs.count else { return false }
      ready = try jobListeners().filter { $0.state == "ready" }.map { pid_t($0.pid) }
      return ready.count == jobs.count
    }
    return ready
  }

  /// Reports these for every job, from a few threads as fast as the server takes them, and waits until all are accepted.
  private func report(_ statuses: some Sequence<JobStatus>) throws {
    let (layer, socket, jobs, statuses) = (layer, redis.socket, jobs, Array(statuses))
    let failures = Mailbox<String?>()
    for first in 0..<Self.senders {
      try BackgroundThread.start {
        do {
          let client = try RedisClient(socket: socket)
          for status in statuses {
            for number in stride(from: first, to: jobs.count, by: Self.senders) {
              switch layer {
              case .core: try client.add(status, of: jobs[number])
              case .pubsub:
                guard try client.publish(status, of: jobs[number]) == 1 else {
                  throw RehearsalError("nobody hears \(jobs[number])")
                }
              }
            }
          }
          failures.put(nil)
        } catch {
          failures.put("\(error)")
        }
      }
    }
    let count = acceptedCount + jobs.count * statuses.count
    try wait("\(count) updates to be accepted") { acceptedCount >= count }
    var ended = 0
    while ended < Self.senders, let (results, _) = failures.takeAll() {
      ended += results.count
      if let failure = results.compactMap(\.self).first { throw RehearsalError(failure) }
    }
  }

  private func wait(_ what: String, _ isSo: () throws -> Bool) throws {
    let deadline = Clock.bootNanoseconds + Int64(Self.patience) * 1_000_000
    while true {
      try rehearsal.facilitator.read(milliseconds: 20)
      for event in rehearsal.facilitator.events[heard...] where event.name == "accepted" {
        guard let job = JobID(event.text("uuid")) else { continue }
        accepted[job, default: []].append(JobStatus(name: event.text("status")))
        acceptedCount += 1
      }
      heard = rehearsal.facilitator.events.count
      if try isSo() { return }
      guard Clock.bootNanoseconds < deadline else {
        let log = rehearsal.log
        throw RehearsalError(
          "\(Self.patience / 1000) s are not enough for \(what); the log ends with:\n\(log.suffix(4000))")
      }
    }
  }
}
