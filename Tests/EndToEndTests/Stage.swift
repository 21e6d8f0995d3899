import Glibc
import JSON
import Messages
import Platform
import Rehearsal
import Testing
import WorkerClient

/// Every test here starts real programs; two at a time would only make both slow.
@Suite(.serialized) enum EndToEnd {}

/// Whom a test kills.
enum Victim: String, Sendable, CaseIterable, CustomTestStringConvertible {
  case uplink
  case listener

  var testDescription: String { rawValue }
}

/// The statuses of a job whose worker is the test itself, in their order; `received` comes before them.
let reported: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]

/// Runs `body` with the whole service up and connected, and takes it down afterwards.
///
/// - Parameters:
///   - connected: whether it is connected before `body` runs.
///   - change: of the settings it runs with; by default jobs are started by a launcher that does nothing, so
///     that the test can be their worker.
func onStage(
  connected: Bool = true, change: (inout Rehearsal.Settings) -> Void = { _ in }, _ body: (Rehearsal) throws -> Void
) throws {
  var settings = Rehearsal.Settings(programs: try ProcessTable.ownFolder(), command: ["/bin/true"])
  settings.commandIsLauncher = true
  change(&settings)
  let rehearsal = try Rehearsal(settings)
  defer { rehearsal.tearDown() }
  do {
    try rehearsal.startSupervisor()
    if connected { try rehearsal.waitUntilConnected() }
    try body(rehearsal)
  } catch {
    throw RehearsalError("\(error)\nthe log of the programs:\n\(rehearsal.log)")
  }
  #expect(!rehearsal.log.contains("Fatal error"))
}

extension JobID {
  /// A random canonical UUID.
  static func random() throws -> JobID {
    var generator = SystemRandomNumberGenerator()
    var digits = (0..<32).map { _ in String(Int.random(in: 0..<16, using: &generator), radix: 16) }
    digits[12] = "4"
    for index in [20, 16, 12, 8] { digits.insert("-", at: index) }
    return try #require(JobID(digits.joined()))
  }
}

extension Rehearsal {
  /// Sends a job and waits until its Listener can be spoken to.
  func startJob(arguments: [String] = [], limits: [Int64] = [60, 60, 60, 60]) throws -> JobID {
    let job = try JobID.random()
    try facilitator.sendJob(job, arguments: arguments, limits: limits)
    try expectAccepted(job, [.received])
    _ = try readyChild("listener", job: job)
    return job
  }

  func worker(_ job: JobID) -> WorkerClient {
    WorkerClient(socketPath: workerSocket(job), job: job, patienceMilliseconds: 20_000)
  }

  /// Waits until the log holds `text` that often.
  func expectLog(_ text: String, times: Int = 1, milliseconds: Int = 20_000) throws {
    let deadline = Deadline.after(milliseconds: milliseconds)
    while log.ranges(of: text).count < times {
      guard deadline.millisecondsLeft > 0 else {
        Issue.record("the log does not hold \(text) \(times) times:\n\(log)")
        return
      }
      try facilitator.read(milliseconds: 50)
    }
  }

  /// Waits until the facilitator has accepted as many updates of the job, and checks that they are these.
  func expectAccepted(_ job: JobID, _ statuses: [JobStatus], milliseconds: Int = 20_000) throws {
    if facilitator.accepted(job).count < statuses.count {
      var count = facilitator.accepted(job).count
      let found = try facilitator.wait(from: facilitator.events.count, milliseconds: milliseconds) { event in
        if event.name == "accepted", event.text("uuid") == job.description { count += 1 }
        return count >= statuses.count
      }
      if found == nil { Issue.record("not all arrived in time; the log:\n\(log)") }
    }
    #expect(facilitator.accepted(job) == statuses)
  }

  /// The metadata of the update of that status, as the facilitator got it.
  func metadata(_ job: JobID, _ status: JobStatus) throws -> JSONValue {
    let event = facilitator.events.last {
      $0.name == "accepted" && $0.text("uuid") == job.description && $0.text("status") == status.name
    }
    let frame = Array(try #require(event).text("frame").utf8)
    return try #require(try JSONValue.parse(frame, limits: JSONLimits(bytes: 1 << 20))["metadata"])
  }
}

extension WorkerClient {
  /// Reports a status and expects it to be acknowledged.
  func acknowledged(_ status: JobStatus) throws {
    let answer = try send(status)
    #expect(answer == .stored, "\(status.name)")
  }
}
