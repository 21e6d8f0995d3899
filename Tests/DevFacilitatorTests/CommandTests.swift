import ArgumentParser
import TestSupport
import Testing

@testable import DevFacilitator

/// What comes in on standard input and the command line, and what goes out on standard output.
@Suite struct CommandTests {
  private func description(_ line: String) -> String {
    do { return "\(try Command(line: Array(line.utf8)))" } catch { return "refused: \(error)" }
  }

  static let commands: [(line: String, expected: String)] = [
    (#"{"command":"raw","text":"a\nb"}"#, "raw(\"a\\nb\")"),
    (#"{"command":"drop"}"#, "drop"),
    (#"{"command":"close","code":1012}"#, "close(code: 1012, reason: \"\")"),
    (#"{"command":"close","code":4000,"reason":"r"}"#, "close(code: 4000, reason: \"r\")"),
    (#"{"command":"drop_after","count":3}"#, "dropAfter(3)"),
    (#"{"command":"drop_before_answer","count":0}"#, "dropBeforeAnswer(0)"),
    (#"{"command":"delay","milliseconds":5}"#, "delay(milliseconds: 5)"),
    (#"{"command":"never_answer","on":true}"#, "neverAnswer(true)"),
    (#"{"command":"ill","how":"well"}"#, "ill(nil)"),
    (#"{"command":"down"}"#, "down"),
    (#" {"command":"up"} "#, "up"),
    (#"{"command":"quit"}"#, "quit"),
  ]

  @Test(arguments: commands)
  func command(line: String, expected: String) { #expect(description(line) == expected) }

  static let unreadable: [(line: String, names: String)] = [
    ("nope", "not JSON"),
    ("[]", "command"),
    (#"{"command":"explode"}"#, "answer_error, close"),
    (#"{"command":"ill","how":"tired"}"#, "drops, closes, garbles, well"),
    (#"{"command":"drop","count":1}"#, "count"),
    (#"{"command":"drop_after"}"#, "count"),
    (#"{"command":"drop_after","count":-1}"#, "count"),
    (#"{"command":"drop_after","count":99999999999999999999}"#, "count"),
    (#"{"command":"close","code":999}"#, "code"),
    (#"{"command":"close","code":5000}"#, "code"),
    (#"{"command":"close","code":1000,"reason":"\#(String(repeating: "r", count: 124))"}"#, "reason"),
    (#"{"command":"job","uuid":"u","args":[]}"#, "uuid"),
    (#"{"command":"job","uuid":"\#(Fixture.uuid)","args":[1]}"#, "args.0"),
    (#"{"command":"job","uuid":"\#(Fixture.uuid)","args":[],"limits":[1,2,3]}"#, "limits"),
    (#"{"command":"job","uuid":"\#(Fixture.uuid)","args":[],"limits":[1,2,3,-4]}"#, "limits"),
    (#"{"command":"job","uuid":"\#(Fixture.uuid)","args":[],"env":{"A":1}}"#, "env.A"),
  ]

  @Test(arguments: unreadable)
  func unreadableCommand(line: String, names: String) {
    #expect(description(line).hasPrefix("refused: "))
    #expect(description(line).contains(names))
  }

  @Test func job() throws {
    let line =
      #"{"command":"job","uuid":"\#(Fixture.uuid)","args":["a","b"],"image":"i","env":{"B":"1","A":"2"},"limits":[1,2,3,4]}"#
    guard case .job(let job) = try Command(line: Array(line.utf8)) else { throw FixtureError.unusable }
    #expect("\(job.job)" == Fixture.uuid)
    #expect(job.arguments == ["a", "b"])
    #expect(job.dockerImage == "i")
    #expect(job.environment.map(\.name) == ["B", "A"])
    #expect(job.environment.map(\.value) == ["1", "2"])
    #expect(
      [job.downloadLimit, job.executionLimit, job.uploadLimit, job.streamingStartLimit] == [1, 2, 3, 4])
  }

  @Test func linesAreCutWhereverTheReadsFall() {
    var splitter = LineSplitter(limit: 4)
    var lines: [LineSplitter.Line] = []
    for piece in ["ab", "c\n", "\nde\nf", "ghij", "k\nlm", "no\np"] {
      lines += splitter.append(Array(piece.utf8))
    }
    func whole(_ text: String) -> LineSplitter.Line { .whole(Array(text.utf8)) }
    #expect(lines == [whole("abc"), whole("de"), .tooLong, whole("lmno")])
    #expect(splitter.finish() == whole("p"))
    #expect(splitter.finish() == nil)
  }

  @Test func eventsAsJSON() {
    let accepted = Event.accepted(3, uuid: "u", status: "s", frame: "{\"a\":\"\n\"}", row: 7)
    #expect(
      text(accepted.json(at: 5))
        == #"{"event":"accepted","at_ns":5,"connection":3,"uuid":"u","status":"s","frame":"{\"a\":\"\n\"}","row":7}"#)
    #expect(
      text(Event.listening(url: "ws://h/").json(at: 1))
        == #"{"event":"listening","at_ns":1,"url":"ws://h/"}"#)
    #expect(
      text(Event.refused(1, uuid: nil, status: nil, type: "t").json(at: 1))
        == #"{"event":"refused","at_ns":1,"connection":1,"uuid":null,"status":null,"type":"t"}"#)
  }

  @Test func eventsInWordsKeepToTheirLine() {
    #expect(
      Event.accepted(3, uuid: "u", status: "s\n\u{1b}[2J", frame: "1234", row: 7).line
        == "[3] accepted uuid=u status=s\\u{a}\\u{1b}[2J 4 bytes row=7")
  }

  @Test func options() throws {
    let settings = try Options.parse([
      "--listen", "[::1]:0", "--validator", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "--drop-after", "1",
      "--drop-before-answer", "2", "--answer-error", "a:b:3", "--delay-ms", "4", "--close-code", "1001",
      "--never-answer",
    ]).settings()
    #expect(settings.validators.map(\.ss58) == ["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"])
    #expect(settings.signer.publicKey.ss58 == "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
    #expect(settings.address.port == 0)
    #expect(
      settings.faults
        == Faults(
          dropAfter: 1, dropBeforeAnswer: 2, answerError: Faults.AnswerError(type: "a:b", count: 3), delay: 4,
          closeCode: 1001, neverAnswers: true))
  }

  static let unusable: [[String]] = [
    ["--listen", "localhost:1"], ["--listen", "1.2.3.4"], ["--listen", "1.2.3.4:65536"],
    ["--validator", "5Grw"], ["--answer-error", "a"], ["--answer-error", "a:-1"], ["--drop-after", "-1"],
    ["--close-code", "5"], ["--tls-key", "k"], ["--tls-certificate", "c"], ["--delay-ms", "86400001"],
  ]

  @Test(arguments: unusable)
  func unusableOptions(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try Options.parse(arguments) }
  }
}
