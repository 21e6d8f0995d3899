import Facilitator
import Glibc
import Identity
import JSON
import TestSupport
import Testing

/// Frames made to cost or to confuse, each with what the original's parser (jiter, in pydantic 2.10.6) shows, or a
/// refusal where hordelink is stricter.
@Suite struct HostileFrameTests {
  private static let fields =
    #""message_type":"V2JobRequest","uuid":"u","executor_class":"always_on.test","docker_image":"d","#
    + #""download_time_limit":1,"execution_time_limit":1,"upload_time_limit":1,"streaming_start_time_limit":1"#

  private static func job(_ more: String = #""args":[],"env":{}"#) -> [UInt8] { Array("{\(fields),\(more)}".utf8) }

  private static func report(_ details: String) -> [UInt8] {
    Array(#"{"message_type":"V0JobCheated","job_uuid":"j","trusted_job_uuid":"t","details":\#(details)}"#.utf8)
  }

  private static func request(_ frame: [UInt8]) -> JobRequest? {
    if case .jobRequest(let request, _) = FacilitatorMessage.classify(frame) { request } else { nil }
  }

  private static func cheat(_ frame: [UInt8]) -> JobCheated? {
    if case .jobCheated(let report, _) = FacilitatorMessage.classify(frame) { report } else { nil }
  }

  /// Why a frame is ignored; nil when it is not.
  private static func refusal(_ frame: [UInt8]) -> String? {
    switch FacilitatorMessage.classify(frame) {
    case .unsupported(let reason), .unreadableAnswer(let reason): reason
    case .response, .jobRequest, .jobCheated: nil
    }
  }

  private static func nested(_ depth: Int, _ open: String, _ close: String) -> String {
    String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
  }

  @Test func frameOf64MiBIsRefusedUnread() {
    // Were it read, its first byte would be at fault, and not its length.
    let reason = Self.refusal([UInt8](repeating: UInt8(ascii: "x"), count: 64 << 20))
    #expect(reason == "\(JSONError(offset: 16 << 20, reason: .tooLarge(limit: 16 << 20)))")
  }

  /// The original: "recursion limit exceeded".
  @Test(arguments: [("[", "]"), (#"{"a":"#, "}")]) func tenThousandNestedAreRefused(_ open: String, _ close: String) {
    let bare = Self.nested(10_000, open, close)
    for frame in [Array(bare.utf8), Self.report(bare), Self.job("\"args\":[],\"env\":\(bare)"), Array(open.utf8)] {
      #expect(Self.refusal(frame)?.isEmpty == false)
    }
    #expect(Self.refusal(Self.report(bare))?.contains("deeper than 128 levels") == true)
  }

  /// The original reads 200 levels; of what is nested deeper than 128 nothing is lost but the report.
  @Test func detailsAreNestedUpToALimit() throws {
    let deepest = Self.nested(127, "[", "]")
    let report = try #require(Self.cheat(Self.report(deepest)))
    #expect(text(report.details.text(.compact)) == deepest)
    #expect(text(report.hashedPayload).contains(deepest))
    #expect(Self.refusal(Self.report(Self.nested(128, "[", "]")))?.contains("128 levels") == true)
  }

  /// The original reads all three and what is too large for a float, and signs them in Python's words.
  @Test func numbersThatAreNotFinite() throws {
    let report = try #require(Self.cheat(Self.report("[NaN,Infinity,-Infinity,1e400,-1e400]")))
    #expect(text(report.hashedPayload).hasPrefix(#"{"details": [NaN, Infinity, -Infinity, Infinity, -Infinity]"#))
    for number in ["-NaN", "nan", "+Infinity", "Infinit", "1e"] {
      #expect(Self.refusal(Self.report(number))?.hasPrefix("not JSON") == true, "\(number)")
    }
    for number in ["NaN", "Infinity", "-Infinity"] {
      #expect(
        Self.refusal(Self.job("\"args\":[],\"env\":{},\"upload_time_limit\":\(number)"))
          == "upload_time_limit: finite_number")
    }
  }

  /// The original: "lone leading surrogate in hex escape", "invalid unicode code point".
  @Test func loneSurrogatesAreRefused() {
    for escape in [#"\ud800"#, #"\udfff"#, #"\ud800\u0041"#, #"\ud800\ud800"#, #"\udc00\ud800"#] {
      #expect(Self.refusal(Self.report("\"\(escape)\""))?.contains("half of a surrogate pair") == true, "\(escape)")
      #expect(Self.refusal(Self.report("{\"\(escape)\":1}"))?.contains("surrogate") == true, "\(escape)")
    }
    for bytes in [[0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]] as [[UInt8]] {
      let frame = Self.report("\"").dropLast() + bytes + Array("\"}".utf8)
      #expect(Self.refusal(Array(frame))?.contains("is not UTF-8") == true)
    }
  }

  /// The original keeps of one name the last value, at the first one's place, and never looks at the others.
  @Test func duplicateNames() throws {
    let request = try #require(
      Self.request(Self.job(#""args":1,"args":[],"env":{"a":"1","b":"2","a":"3"},"uuid":7,"uuid":"last""#)))
    #expect(request.uuid == "last")
    #expect(request.environment.map(\.name) == ["a", "b"])
    #expect(request.environment.map(\.value) == ["3", "2"])
    let report = try #require(Self.cheat(Self.report(#"{"a":1,"b":2,"a":3}"#)))
    #expect(text(report.details.text(.compact)) == #"{"a":3,"b":2}"#)
    #expect(Self.refusal(Array(#"{"message_type":"V2JobRequest","message_type":"V9"}"#.utf8))?.contains("V9") == false)
  }

  /// The original: "number out of range", and `int_parsing_size` for the same in a string. Both begin after 4300
  /// digits. A fraction it reads however long it is; hordelink does not.
  @Test func numbersOfAMillionDigitsAreRefused() {
    let digits = String(repeating: "9", count: 1_000_000)
    for number in [digits, "-" + digits, "0." + digits, "1e" + digits] {
      #expect(Self.refusal(Self.report(number))?.contains("longer than 4300 characters") == true)
    }
    #expect(
      Self.refusal(Self.job("\"args\":[],\"env\":{},\"upload_time_limit\":\"\(digits)\""))
        == "upload_time_limit: int_parsing")
    #expect(Self.cheat(Self.report(String(digits.prefix(4300)))) != nil)
  }

  @Test func stringOfAMillionEscapesIsRead() throws {
    for (escape, character) in [(#"\u00e9"#, "é"), (#"\n"#, "\n"), (#"\ud83d\ude00"#, "😀")] {
      let report = try #require(
        Self.cheat(Self.report("\"" + String(repeating: escape, count: 1_000_000) + "\"")))
      let expected = [UInt8]([[UInt8]](repeating: Array(character.utf8), count: 1_000_000).joined())
      #expect(report.details.stringValue.map { Array($0.utf8) == expected } == true)
      // Python escapes each of them once more.
      #expect(report.hashedPayload.count >= 1_000_000 * escape.utf8.count)
    }
  }

  @Test func environmentOfAMillionIsKeptInOrder() throws {
    let pairs = (0..<1_000_000).map { "\"\($0)\":\"\"" }.joined(separator: ",")
    let request = try #require(Self.request(Self.job("\"args\":[],\"env\":{\(pairs)}")))
    #expect(request.environment.count == 1_000_000)
    #expect(request.environment.enumerated().allSatisfy { $0.element.name == String($0.offset) })
  }

  @Test func moreThanAMillionValuesAreRefused() {
    let values = "[" + String(repeating: "0,", count: 1 << 20) + "0]"
    #expect(Self.refusal(Self.report(values))?.contains("more than 1048576 values") == true)
  }

  /// The reason goes into the log.
  @Test func reasonIsShortWhateverTheNames() throws {
    for name in [String(repeating: "x", count: 1 << 20), String(repeating: #"\n"#, count: 1 << 16)] {
      let reason = try #require(Self.refusal(Self.job("\"args\":[],\"env\":{\"\(name)\":1}")))
      #expect(reason.hasPrefix("env.") && reason.hasSuffix(": string_type"))
      #expect(reason.utf8.count < 256)
      #expect(!reason.contains("\n"))
    }
  }

  /// In a process of its own, which may have 32 times the memory of the longest frame and no more.
  @Test func memoryIsBounded() async {
    await #expect(processExitsWith: .success) {
      var limit = rlimit(rlim_cur: 512 << 20, rlim_max: 512 << 20)
      // 2 is RLIMIT_DATA, which the C library has under different types.
      guard setrlimit(__rlimit_resource_t(2), &limit) == 0 else { exit(2) }
      func many(_ count: Int, _ piece: String) -> String { String(repeating: piece + ",", count: count - 1) + piece }
      let most = 1 << 20
      for make in [
        { Self.report("[" + many(most / 2 - 9, #"{"longer than 15 bytes":1}"#) + "]") },
        { Self.report("[" + many(most / 127 - 9, Self.nested(126, "[", "]")) + "]") },
        { Self.job("\"args\":[\(many(most - 99, "\"\""))],\"env\":{}") },
      ] as [() -> [UInt8]] {
        switch FacilitatorMessage.classify(make()) {
        case .jobRequest(let request, _): _ = request.hashedPayload
        case .jobCheated(let report, _): _ = report.hashedPayload
        case .response, .unreadableAnswer, .unsupported: exit(3)
        }
      }
    }
  }
}
