import TestSupport
import Testing

@testable import Messages

@Suite struct IdentifierTests {
  @Test(arguments: [
    "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "0123abcd-4567-89ef-0123-456789abcdef", "8d0e1b8c-6b1d-4c6c-9c83-0a8f7d7b3a11",
  ]) func canonicalUUIDsComeBackAsTheyWere(_ text: String) throws {
    #expect(try #require(JobID(text)).description == text)
  }

  @Test(arguments: [
    "", "0", "0123ABCD-4567-89ef-0123-456789abcdef", "0123abcd456789ef0123456789abcdef",
    "{0123abcd-4567-89ef-0123-456789abcdef}", "0123abcd-4567-89ef-0123-456789abcde",
    "0123abcd-4567-89ef-0123-456789abcdef0", "0123abcd-4567-89ef-0123-456789abcdeg",
    "0123abcd-4567-89ef-01234-56789abcdef", "0123abcd_4567_89ef_0123_456789abcdef",
    " 123abcd-4567-89ef-0123-456789abcdef", "0123abcd-4567-89ef-0123-456789abcde\n",
    "urn:uuid:0123abcd-4567-89ef-0123-456789abcdef", "../../../../../../../../../../etc/passwd",
    "0123abcd-4567-89ef-0123-456789abcd/.", "0123abcd-4567-89ef-0123-456789abcd\u{e9}",
    "０123abcd-4567-89ef-0123-456789abcdef", "0123abcd-4567-89ef-0123-456789abcde\u{0}",
    "+123abcd-4567-89ef-0123-456789abcdef", "------------------------------------",
  ]) func everyOtherFormIsRefused(_ text: String) { #expect(JobID(text) == nil) }

  /// Every character but the right one, at every place.
  @Test func eachPlaceTakesOnlyWhatBelongsThere() {
    let text = Array("0123abcd-4567-89ef-0123-456789abcdef".utf8)
    for place in text.indices {
      for byte in UInt8.min..<0x80 {
        var changed = text
        changed[place] = byte
        let isDigit =
          (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        let fits = [8, 13, 18, 23].contains(place) ? byte == UInt8(ascii: "-") : isDigit
        let string = String(decoding: changed, as: UTF8.self)
        #expect(JobID(string)?.description == (fits ? string : nil))
      }
    }
  }

  @Test func randomUUIDsComeBackAndOrderAsTheirText() throws {
    let seed = testSeed("JobID")
    var random = SplitMix64(state: seed)
    func next() -> String {
      var text = Array("00000000-0000-0000-0000-000000000000")
      for place in text.indices where text[place] == "0" {
        text[place] = "0123456789abcdef".randomElement(using: &random) ?? "0"
      }
      return String(text)
    }
    var last = next()
    for _ in 0..<1000 {
      let text = next()
      let id = try #require(JobID(text), "seed \(seed)")
      #expect(id.description == text, "seed \(seed)")
      #expect((id < (try #require(JobID(last)))) == (text < last), "seed \(seed)")
      last = text
    }
  }

  @Test func statusesHaveTheProtocolsNames() {
    let names = [
      "unknown", "sent", "received", "accepted", "executor_ready", "streaming_ready", "volumes_ready",
      "execution_done", "completed", "rejected", "failed", "horde_failed",
    ]
    #expect(JobStatus.allCases.map(\.name) == names)
    #expect(names.map { JobStatus(name: $0) } == JobStatus.allCases)
    for other in ["", "Completed", "completed ", "hordeFailed", "done"] {
      #expect(JobStatus(name: other) == .unknown)
    }
    #expect(JobStatus.allCases.filter(\.isTerminal) == [.completed, .rejected, .failed, .hordeFailed])
  }

  @Test func aSetOfStatusesHoldsEachByItself() {
    var all: JobStatusSet = []
    for status in JobStatus.allCases {
      #expect(!all.contains(JobStatusSet(status)))
      all.insert(JobStatusSet(status))
      #expect(all.contains(JobStatusSet(status)))
    }
    all.remove(JobStatusSet(.failed))
    #expect(!all.contains(JobStatusSet(.failed)) && all.contains(JobStatusSet(.hordeFailed)))
  }
}
