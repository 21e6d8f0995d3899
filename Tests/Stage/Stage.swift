import Glibc
import JSON
import Messages
import Platform
import Rehearsal
import Testing
import WorkerClient

/// The statuses of a job whose worker is the test itself, in their order; `received` comes before them.
package let reported: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]

/// Runs `body` with the whole service up and connected, and takes it down afterwards.
///
/// - Parameters:
///   - started: whether it is started before `body` runs.
///   - connected: whether it is connected before `body` runs.
///   - change: of the settings it runs with; by default jobs are started by a launcher that does nothing, so
///     that the test can be their worker.
package func onStage(
  started: Bool = true, connected: Bool = true, change: (inout Rehearsal.Settings) -> Void = { _ in },
  _ body: (Rehearsal) throws -> Void
) throws {
  var settings = Rehearsal.Settings(programs: try ProcessTable.ownFolder(), command: ["/bin/true"])
  settings.commandIsLauncher = true
  change(&settings)
  let rehearsal = try Rehearsal(settings)
  defer { rehearsal.tearDown() }
  do {
    if started { try rehearsal.startSupervisor() }
    if started, connected { try rehearsal.waitUntilConnected() }
    try body(rehearsal)
  } catch {
    throw RehearsalError("\(error)\nthe log of the programs:\n\(rehearsal.log)")
  }
  #expect(!rehearsal.log.contains("Fatal error"))
}

extension Rehearsal.Settings {
  /// Has each job's command run until `Rehearsal.endCommands`, and its end end the job.
  package mutating func commandsRunUntilTold() {
    commandIsLauncher = false
    command = ["/bin/sh", "-c", "until [ -e ${HORDELINK_SOCKET%/jobs/*}/end ]; do sleep 0.05; done"]
  }
}

extension JobID {
  /// A random canonical UUID.
  package static func random() -> JobID {
    var generator = SystemRandomNumberGenerator()
    // Version 4 (RFC 9562, section 5.4).
    return JobID(high: generator.next() & ~0xf000 | 0x4000, low: generator.next())
  }
}

extension Rehearsal {
  /// Ends the commands of `Settings.commandsRunUntilTold`.
  package func endCommands() throws { try Self.write([], to: runtimeDirectory + "/end", mode: 0o600) }

  /// Sends a job and waits until its Listener can be spoken to.
  package func startJob(arguments: [String] = [], limits: [Int64] = [60, 60, 60, 60]) throws -> JobID {
    let job = JobID.random()
    try facilitator.sendJob(job, arguments: arguments, limits: limits)
    try expectAccepted(job, [.received])
    _ = try readyChild("listener", job: job)
    return job
  }

  package func worker(_ job: JobID) -> WorkerClient {
    WorkerClient(socketPath: workerSocket(job), job: job, patienceMilliseconds: 20_000)
  }

  /// Reports these one after the other on a thread of its own.
  /// - Returns: where the answers come, closed behind the last.
  package func reportElsewhere(
    _ job: JobID, _ updates: [WorkerClient.Update], patienceMilliseconds: Int = 60_000
  ) throws -> Mailbox<WorkerClient.Answer> {
    let socket = workerSocket(job)
    let answers = Mailbox<WorkerClient.Answer>()
    try BackgroundThread.start {
      let worker = WorkerClient(socketPath: socket, job: job, patienceMilliseconds: patienceMilliseconds)
      for update in updates {
        for answer in (try? worker.send([update])) ?? [] { answers.put(answer) }
      }
      answers.close()
    }
    return answers
  }

  /// Waits until it is so, for a minute.
  /// - Parameter text: what is waited for; given to `isSo` as well.
  package func until(_ text: String, _ isSo: (Rehearsal, String) throws -> Bool) throws {
    let deadline = Deadline.after(milliseconds: 60_000)
    while try !isSo(self, text) {
      guard deadline.millisecondsLeft > 0 else { throw RehearsalError("after a minute there is no: \(text)") }
      try facilitator.read(milliseconds: 50)
    }
  }

  /// Nobody listens where the facilitator was, and its connections are lost; it forgets nothing.
  package func facilitatorGoesAway() throws {
    let before = facilitator.events.count
    try facilitator.tell([("command", .string("down"))])
    let gone = try facilitator.wait(from: before, milliseconds: 10_000) { $0.name == "disconnected" }
    #expect(gone != nil)
  }

  package func facilitatorComesBack() throws { try facilitator.tell([("command", .string("up"))]) }

  /// Waits until the log holds `text` that often.
  package func expectLog(_ text: String, times: Int = 1, milliseconds: Int = 20_000) throws {
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
  package func expectAccepted(_ job: JobID, _ statuses: [JobStatus], milliseconds: Int = 20_000) throws {
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
  package func metadata(_ job: JobID, _ status: JobStatus) throws -> JSONValue {
    let event = facilitator.events.last {
      $0.name == "accepted" && $0.text("uuid") == job.description && $0.text("status") == status.name
    }
    let frame = Array(try #require(event).text("frame").utf8)
    return try #require(try JSONValue.parse(frame, limits: JSONLimits(bytes: 1 << 20))["metadata"])
  }
}

extension Rehearsal {
  /// Kills the Supervisor and waits until it is gone; its children leave by themselves.
  package func killSupervisor() throws {
    let supervisor = try #require(supervisor)
    supervisor.signal(SIGKILL)
    _ = try #require(try supervisor.wait(milliseconds: 5000))
  }

  /// The pid of a job's command; waits for it.
  package func runningCommand(_ job: JobID) throws -> pid_t {
    let deadline = Deadline.after(milliseconds: 10_000)
    while deadline.millisecondsLeft > 0 {
      if let found = try report()?.children.first(where: { $0.name == "command" && $0.job == job && $0.pid > 0 }) {
        return pid_t(found.pid)
      }
      try facilitator.read(milliseconds: 20)
    }
    throw RehearsalError("the command of \(job) does not run")
  }
}

extension Mailbox {
  /// Waits until it is closed; returns all that came.
  package func takeUntilClosed() -> [Element] {
    var taken: [Element] = []
    while let (elements, _) = takeAll() { taken += elements }
    return taken
  }
}

extension WorkerClient {
  /// Reports a status and expects it to be acknowledged.
  package func acknowledged(_ status: JobStatus) throws {
    let answer = try send(status)
    #expect(answer == .stored, "\(status.name)")
  }
}
