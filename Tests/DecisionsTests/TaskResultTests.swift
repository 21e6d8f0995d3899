import Messages
import Redis
import Testing

@testable import Decisions

@Suite struct TaskResultTests {
  private func failed(_ text: String) -> CommandExit? {
    if case .failed(let exit) = TaskResult(Array(text.utf8)) { exit } else { nil }
  }

  @Test func whatCeleryWritesIsRead() {
    #expect(TaskResult([]) == .none)
    #expect(TaskResult(Array(#"{"status": "STARTED", "result": null}"#.utf8)) == .none)
    #expect(TaskResult(Array(#"{"status": "RETRY", "result": {}}"#.utf8)) == .none)
    #expect(TaskResult(Array(#"{"status": "SUCCESS", "result": {"status": "FAILURE"}}"#.utf8)) == .success)
    let exit = failed(
      #"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": ["no", 1], "exc_module": "builtins"}, "#
        + #""traceback": "Traceback", "children": []}"#)
    #expect(exit?.task == TaskEnd(state: "FAILURE", error: "ValueError: no, 1"))
    #expect(exit?.stderrTail == Array("Traceback".utf8))
    let file = failed(
      #"{"status": "FAILURE", "result": {"exc_type": "FileNotFoundError", "exc_message": [2, "No such file"]}, "#
        + #""traceback": "Traceback\n  File x\nFileNotFoundError: [Errno 2] No such file: 'p'\n"}"#)
    #expect(file?.task?.error == "FileNotFoundError: [Errno 2] No such file: 'p'")
    let expired = failed(
      #"{"status": "REVOKED", "result": {"exc_type": "TaskRevokedError", "exc_message": ["expired"]}}"#)
    #expect(expired?.task == TaskEnd(state: "REVOKED", error: "TaskRevokedError: expired"))
  }

  @Test(arguments: ["nonsense", "{", "[]", "{\"status\": 1}", "null", "\u{0}", "{\"status\": \"FAILURE\""])
  func whatIsNoResultIsNone(_ text: String) { #expect(TaskResult(Array(text.utf8)) == .none) }

  @Test func whatWasCutOffIsKnownByItsState() {
    let long =
      #"{"status": "FAILURE", "result": {"exc_message": [""# + String(repeating: "x", count: TaskResult.readBytes)
    #expect(failed(String(long.prefix(TaskResult.readBytes)))?.task?.state == "FAILURE")
    let success = #"{"status": "SUCCESS", "result": ""# + String(repeating: "x", count: TaskResult.readBytes)
    #expect(TaskResult(Array(success.utf8.prefix(TaskResult.readBytes))) == .success)
  }

  @Test func whatOnlyPythonReadsIsAnEndAsWell() {
    #expect(
      failed(#"{"status": "FAILURE", "result": {"exc_type": "ValueError", "exc_message": [NaN]}}"#)?.task
        == TaskEnd(state: "FAILURE", error: "ValueError: NaN"))
    let name = #"{"status": "FAILURE", "result": {"exc_type": "OSError", "exc_message": ["caf\udce9"]}}"#
    #expect(failed(name)?.task == TaskEnd(state: "FAILURE", error: "its error cannot be read"))
  }

  // MARK: Looking

  private let server = RedisServer(place: .name("redis", port: 6379), password: "pw")

  private func uplink() -> UplinkUnderTest {
    var settings = UplinkSettings.test(launcher: true)
    settings.tasks = TaskSettings(queueSeconds: 60, results: server)
    return UplinkUnderTest(settings)
  }

  private func commands(_ actions: [UplinkCore.Action]) -> [String] {
    var texts: [String] = []
    for case .sendResults(let commands) in actions {
      texts += commands.map { $0.words.map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ") }
    }
    return texts
  }

  private let failure = RedisReply.bytes(
    Array(#"{"status": "FAILURE", "result": {"exc_type": "KeyError", "exc_message": ["a"]}}"#.utf8))

  @Test func aFailureIsFoundAndToldUntilTheJobHasEnded() {
    let uplink = uplink()
    // Without jobs nobody is asked.
    #expect(!uplink.does(.timeReached).contains(.connectResults(server)))
    uplink.run(job(1))
    uplink.pass(5)
    #expect(uplink.does(.timeReached).contains(.connectResults(server)))
    #expect(commands(uplink.does(.resultsConnected)) == ["AUTH pw"])
    let get = "GETRANGE celery-task-meta-\(job(1)) 0 65535"
    #expect(commands(uplink.does(.resultsReplied(.status("OK")))) == [get])
    #expect(uplink.does(.resultsReplied(.bytes([]))).effects.isEmpty)
    let ended = UplinkToSupervisor.taskEnded(
      job(1), CommandExit(code: nil, signal: nil, task: TaskEnd(state: "FAILURE", error: "KeyError: a")))
    for _ in 0..<3 {
      uplink.pass(5)
      #expect(commands(uplink.does(.timeReached)) == [get])
      #expect(uplink.does(.resultsReplied(failure)).said == [.toSupervisor(ended)])
    }
    // Without jobs its server is left.
    #expect(uplink.update(1, 1, .completed).contains(.disconnectResults))
    uplink.settle()
    uplink.pass(5)
    #expect(commands(uplink.does(.timeReached)).isEmpty)
    uplink.run(job(2), listener: 2)
    uplink.pass(5)
    #expect(uplink.does(.timeReached).contains(.connectResults(server)))
  }

  @Test func aTaskThatEndedWellIsAskedForNoMore() {
    let uplink = uplink()
    uplink.run(job(1))
    uplink.run(job(2), listener: 2)
    uplink.pass(5)
    uplink.does(.timeReached)
    uplink.does(.resultsConnected)
    #expect(commands(uplink.does(.resultsReplied(.status("OK")))).count == 2)
    uplink.does(.resultsReplied(.bytes(Array(#"{"status": "SUCCESS"}"#.utf8))))
    // Something else lies there.
    #expect(uplink.does(.resultsReplied(.error("WRONGTYPE Operation"))).effects.isEmpty)
    uplink.pass(5)
    #expect(commands(uplink.does(.timeReached)) == ["GETRANGE celery-task-meta-\(job(2)) 0 65535"])
  }

  @Test func aServerThatIsAwayIsTriedAgainAndThatIsSaidOnce() {
    let uplink = uplink()
    uplink.run(job(1))
    uplink.pass(5)
    #expect(uplink.does(.timeReached).contains(.connectResults(server)))
    var said = 0
    var attempts = 0
    for _ in 0..<50 {
      for action in uplink.does(.resultsLost("refused")) {
        if case .log(let entry) = action, entry.event == .resultsUnread { said += 1 }
      }
      uplink.pass(10)
      if uplink.does(.timeReached).contains(.connectResults(server)) { attempts += 1 }
    }
    #expect(said == 1)
    #expect(attempts == 50)
    func again(_ actions: [UplinkCore.Action]) -> Bool {
      actions.contains { if case .log(let entry) = $0 { entry.text.contains("can be read again") } else { false } }
    }
    #expect(!again(uplink.does(.resultsConnected)))
    let refused = uplink.does(.resultsReplied(.error("WRONGPASS no")))
    #expect(refused.contains(.disconnectResults))
    uplink.pass(10)
    #expect(uplink.does(.timeReached).contains(.connectResults(server)))
    uplink.does(.resultsConnected)
    // That it is let in is not enough.
    let letIn = uplink.does(.resultsReplied(.status("OK")))
    #expect(commands(letIn).count == 1 && !again(letIn))
    #expect(again(uplink.does(.resultsReplied(.bytes([])))))
    // Silence ends it as well.
    uplink.pass(5)
    #expect(commands(uplink.does(.timeReached)).count == 1)
    uplink.pass(10)
    #expect(uplink.does(.timeReached).contains(.disconnectResults))
  }
}
