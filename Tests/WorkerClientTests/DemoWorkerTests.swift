import JSON
import MessagePack
import Messages
import Platform
import StatusUpdates
import TestSupport
import Testing
import WorkerClient

@testable import DemoWorker

/// The demo's command, run for real.
@Suite struct CommandRunTests {
  private func run(_ arguments: [String], limit: Int = CommandRun.outputLimit) throws -> CommandResult {
    try CommandRun.run(
      arguments, searchPath: "/nowhere:/usr/bin:/bin", environment: ["PATH=/usr/bin:/bin"], outputLimit: limit)
  }

  @Test func bothOutputsAndTheExitStatusAreCaptured() throws {
    let result = try run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    #expect(result.exitStatus == 3)
    #expect(result.standardOutput == "out\n")
    #expect(result.standardError == "err\n")
  }

  /// Far more than a pipe holds on each of the two, one after the other and so never both at once.
  @Test(arguments: [1, 2]) func aCommandThatFillsOnePipeIsNotHeldUp(first: Int) throws {
    let result = try run([
      "sh", "-c", "head -c 500000 /dev/zero >&\(first); head -c 500000 /dev/zero >&\(3 - first)",
    ])
    #expect(result.exitStatus == 0)
    #expect(result.standardOutput.utf8.count == 500_000)
    #expect(result.standardError.utf8.count == 500_000)
  }

  @Test func outputBeyondTheLimitIsReadAndLeftOut() throws {
    let result = try run(["sh", "-c", "printf 0123456789; head -c 300000 /dev/zero; echo end >&2"], limit: 8)
    #expect(result.standardOutput == "01234567\n[300002 more bytes are left out]\n")
    #expect(result.standardError == "end\n")
  }

  @Test func aProcessLeftBehindWithTheOutputsOpenIsNotWaitedFor() throws {
    let result = try run(["sh", "-c", "sleep 600 & echo $!"])
    #expect(result.exitStatus == 0)
    let pid = try #require(Int32(result.standardOutput.dropLast()))
    // Had it been waited for, it would be gone.
    #expect(ProcessTable.signal(pid, 9))
  }

  @Test func anOutputThatIsClosedEarlyIsTheEndOfNothing() throws {
    let result = try run(["sh", "-c", "exec >&-; echo later >&2; exit 4"])
    #expect(
      result
        == .init(
          exitStatus: 4, summary: "the command exited with status 4", standardOutput: "", standardError: "later\n"))
  }

  @Test func aSignalCountsAsInAShell() throws {
    let result = try run(["sh", "-c", "kill -9 $$"])
    #expect(result.exitStatus == 137)
    #expect(result.summary.contains("signal 9"))
  }

  @Test func whatCannotBeStartedIsAResult() throws {
    let missing = try run(["no-such-program-anywhere"])
    #expect(missing.exitStatus == 127)
    #expect(missing.standardError.contains("no-such-program-anywhere"))
    #expect(try run(["/no/such/program"]).exitStatus == 127)
    #expect(try run(["/etc/passwd"]).exitStatus == 126)
  }
}

@Suite struct DemoWorkerTests {
  static let job = "11111111-2222-4333-8444-555555555555"
  static let environment = ["HORDELINK_SOCKET": "/run/x.sock", "HORDELINK_JOB_UUID": job, "PATH": "/usr/bin:/bin"]

  /// The statuses reported for a job with these arguments, and the metadata of the last one as the service stores it.
  private func report(_ arguments: [String]) throws -> (statuses: [String], metadata: JSONValue) {
    var updates: [(status: JobStatus, metadata: MessagePackValue?)] = []
    let worker = Worker(settings: try WorkerSettings(Self.environment)) { status, metadata in
      updates.append((status, metadata))
      return .stored
    }
    try worker.run(arguments, environment: Self.environment)
    let last = try #require(updates.last)
    let envelope = MessagePackValue.map([
      MessagePackPair(.string("type"), .string("job_status_update")),
      MessagePackPair(
        .string("payload"),
        .map([
          MessagePackPair(.string("uuid"), .string(Self.job)),
          MessagePackPair(.string("status"), .string(last.status.name)),
          MessagePackPair(.string("metadata"), last.metadata ?? .null),
        ])),
    ])
    let stored = try StatusUpdateEnvelope.validate(envelope, expecting: JobID(Self.job))
    return (
      updates.map(\.status.name),
      try JSONValue.parse(stored.metadataJSON ?? [], limits: JSONLimits(bytes: 1 << 20))
    )
  }

  @Test func aCommandThatSucceedsIsCompleted() throws {
    let (statuses, metadata) = try report(["sh", "-c", "echo done; echo note >&2"])
    #expect(
      statuses == ["accepted", "executor_ready", "volumes_ready", "execution_done", "completed"])
    #expect(metadata["miner_response"]?["docker_process_stdout"]?.stringValue == "done\n")
    #expect(metadata["miner_response"]?["docker_process_stderr"]?.stringValue == "note\n")
  }

  @Test func aCommandThatFailsIsFailedWithItsDetails() throws {
    let (statuses, metadata) = try report(["sh", "-c", "echo half; exit 9"])
    #expect(statuses == ["accepted", "executor_ready", "volumes_ready", "execution_done", "failed"])
    let details = try #require(metadata["job_failure_details"])
    #expect(details["reason"]?.stringValue == "nonzero_return_code")
    #expect(details["stage"]?.stringValue == "execution")
    #expect(details["docker_process_stdout"]?.stringValue == "half\n")
    guard case .number("9") = details["docker_process_exit_status"] else {
      Issue.record("\(details)")
      return
    }
  }

  @Test func aRefusedStatusEndsTheWork() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            connection.answer(connection.receive())
            connection.answer(connection.receive(), refusal("job_closed", "the job has ended"))
            while connection.receive() != nil {}
          }
        ])
      let client = WorkerClient(socketPath: path, job: try #require(JobID(Self.job)))
      let worker = Worker(settings: try WorkerSettings(Self.environment)) {
        (status, metadata) throws(WorkerClient.Failure) in try client.send(status, metadata: metadata)
      }
      let refused = try #require(throws: StatusRefused.self) {
        try worker.run(["true"], environment: Self.environment)
      }
      #expect(refused.status == .executorReady && refused.refusal.code == "job_closed")
      #expect(server.received == ["accepted", "executor_ready"])
    }
  }

  @Test(arguments: [
    "", "{", "[]", #"{"args":"sh"}"#, #"{"args":[]}"#, #"{"args":[""]}"#, #"{"args":["sh",1]}"#,
    #"{"args":["sh","a\u0000b"]}"#,
  ])
  func aRequestThatCannotBeRunIsRefused(text: String) {
    #expect(throws: (any Error).self) { try JobArguments.parse(Array(text.utf8)) }
  }

  @Test func theRequestIsReadToItsEnd() throws {
    let long = String(repeating: "x", count: 300_000)
    let input = try Files.inMemory(Array(#"{"uuid":"u","args":["echo","\#(long)"]}"#.utf8), name: "request")
    #expect(try JobArguments.read(from: input) == ["echo", long])
    let tooLong = [UInt8](repeating: UInt8(ascii: " "), count: Limits.facilitatorFrameBytes + 1)
    #expect(throws: UnusableRequest.self) {
      try JobArguments.read(from: try Files.inMemory(tooLong, name: "request"))
    }
  }

  @Test(
    arguments: [
      ("HORDELINK_SOCKET", nil), ("HORDELINK_SOCKET", ""), ("HORDELINK_JOB_UUID", nil),
      ("HORDELINK_JOB_UUID", "1"), ("HORDELINK_DEMO_PAUSE_MS", "-1"), ("HORDELINK_DEMO_PAUSE_MS", "60001"),
      ("HORDELINK_DEMO_PAUSE_MS", "soon"),
    ] as [(String, String?)])
  func anEnvironmentThatIsNotAJobsIsRefusedByName(name: String, value: String?) throws {
    var environment = Self.environment
    environment[name] = value
    let error = try #require(throws: UnusableEnvironment.self) { try WorkerSettings(environment) }
    #expect(error.description.hasPrefix(name))
  }
}
