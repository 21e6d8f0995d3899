import Facilitator
import Identity
import JSON
import TestSupport
import Testing

/// Tests/Vectors/hotkey_files.json as the programs read such a file, each entry a test, and what must be refused.
@Suite struct HotkeyFileTests {
  static let entries = vectorEntries("hotkey_files.json")

  private static let phrase = "position chicken ugly key sugar expect another require cinnamon rubber rich veteran"
  private static let seed = "37dc08ec78b06499f0460e5ec619ae07eb319f1d332ad8b8d741c657269a8ab1"
  private static let address = "5DyzX6hd4nx2jQtdLzDGrCYar7D4LQqhKAUNc5hrDvqBSVLN"

  private func hotkey(_ text: String) throws -> Hotkey { try hotkey(Array(text.utf8)) }

  private func hotkey(_ bytes: [UInt8]) throws -> Hotkey {
    try HotkeyFile.hotkey { memory in
      memory.copyBytes(from: bytes)
      return bytes.count
    }
  }

  /// The two entries that the original refuses and hordelink reads: a file with a field that the original does not
  /// know, such as `cryptoType`, which newer tools write.
  private static let readHere: Set = ["extra field", "cryptoType field"]

  @Test func everyEntryIsRead() {
    #expect(Self.entries.count == 14)
    #expect(Self.readHere.isSubset(of: Self.entries.map { $0["name"] ?? "" }))
  }

  @Test(arguments: entries) func vector(_ vector: Vector) throws {
    let file = try #require(vector["text"])
    if let key = vector.value["result"]?["public_key"]?.stringValue {
      let hotkey = try hotkey(file)
      #expect(hotkey.publicKey.hex == key)
      #expect(hotkey.publicKey.ss58 == vector.value["result"]?["ss58"]?.stringValue)
      guard case .bool(let canSign) = vector.value["result"]?["can_sign"] else {
        Issue.record("the entry does not say whether it can sign")
        return
      }
      #expect(hotkey.canSign == canSign)
    } else if Self.readHere.contains(vector["name"] ?? "") {
      #expect(try hotkey(file).publicKey.ss58 == Self.address)
    } else {
      #expect(throws: (any Error).self) { try hotkey(file) }
    }
  }

  @Test(arguments: ["null", "true", "-1.5", #""x""#, "[1, [2]]", #"{"secretSeed": "x", "a": {}}"#])
  func unknownFieldsOfAnyTypeArePassedOver(_ value: String) throws {
    let hotkey = try hotkey("{\"cryptoType\": \(value), \"secretPhrase\": \"\(Self.phrase)\", \"\": \(value)}")
    #expect(hotkey.publicKey.ss58 == Self.address)
    #expect(hotkey.canSign)
  }

  @Test(arguments: ["accountId", "publicKey", "privateKey", "secretPhrase", "secretSeed", "ss58Address"])
  func fieldOfAnotherTypeIsNamed(_ field: String) throws {
    for value in ["1", "true", "[]", "{}", "[\"\(Self.seed)\"]"] {
      let error = #expect(throws: HotkeyFile.Unusable.self) {
        try hotkey("{\"secretSeed\": \"\(Self.seed)\", \"\(field)\": \(value)}")
      }
      #expect(error == .notAString(field: field))
      #expect(error?.description.contains(field) == true)
    }
    // Null is as good as absent.
    #expect(throws: Never.self) { try hotkey("{\"\(field)\": null, \"ss58Address\": \"\(Self.address)\"}") }
  }

  @Test(
    arguments: [
      ("[]", .notAnObject), ("\"\(seed)\"", .notAnObject), ("null", .notAnObject), ("1", .notAnObject),
    ] as [(String, HotkeyFile.Unusable)]) func otherJSONIsRefused(_ file: String, _ error: HotkeyFile.Unusable)
  {
    #expect(throws: error) { try hotkey(file) }
  }

  @Test func fieldThatIsThereTwiceIsRefused() throws {
    for first in ["\"\(Self.seed)\"", "\"\""] {
      #expect(throws: HotkeyFile.Unusable.fieldTwice("secretSeed")) {
        try hotkey("{\"secretSeed\": \(first), \"secret\\u0053eed\": \"\(Self.seed)\"}")
      }
    }
    // In another object it is another field.
    #expect(throws: Never.self) { try hotkey("{\"a\": {\"secretSeed\": 1}, \"secretSeed\": \"\(Self.seed)\"}") }
  }

  @Test func escapesAreRead() throws {
    let escaped = Self.phrase.utf8.map { "\\u00" + Hex.encode([$0]) }.joined()
    #expect(try hotkey("{\"secretPhr\\u0061se\": \"\(escaped)\"}").publicKey.ss58 == Self.address)
  }

  @Test func hugeFilesAreRefused() {
    #expect(throws: HotkeyFile.Unusable.notJSON(offset: 128)) { try hotkey(String(repeating: "[", count: 10_000)) }
    // Within the limit a field may still be far too long.
    let long = String(repeating: "5", count: 60_000)
    for (field, error) in [
      ("secretPhrase", IdentityError.phraseWordCount(words: 1)),
      ("secretSeed", .wrongLength(what: "the seed", expected: 32, actual: 30_000)),
      ("privateKey", .wrongLength(what: "the private key", expected: 64, actual: 30_000)),
      ("ss58Address", .addressLength),
    ] {
      #expect(throws: error) { try hotkey("{\"\(field)\": \"\(long)\"}") }
    }
  }

  /// It reads the JSON that the JSON parser reads, and finds the same text in it.
  private func compare(_ file: [UInt8], _ shown: String) {
    guard EncryptedKeyfile(contents: file) == nil else { return }
    let value = try? JSONValue.parse(file, limits: JSONLimits(bytes: HotkeyFile.sizeLimit))
    do {
      let key = try hotkey(file)
      #expect(value != nil, "\(shown)")
      if let address = value?["ss58Address"]?.stringValue, !key.canSign {
        #expect(key.publicKey.ss58 == address, "\(shown)")
      }
    } catch HotkeyFile.Unusable.notJSON {
      #expect(value == nil, "\(shown)")
    } catch {
      #expect(value != nil, "\(shown)")
    }
  }

  /// What is read can be used, and what is refused says why, without a secret.
  private func exercise(_ file: [UInt8], _ seed: UInt64) {
    let shown = "seed \(seed): \(text(file))"
    compare(file, shown)
    do {
      let hotkey = try hotkey(file)
      #expect(hotkey.publicKey.bytes.count == 32, "\(shown)")
    } catch {
      #expect(error is IdentityError || error is HotkeyFile.Unusable, "\(shown)")
      let words = "\(error)"
      #expect(words.contains(":") || words.contains(";"), "\(shown)")
      #expect(!words.contains(Self.seed.prefix(16)) && !words.contains("chicken"), "\(shown)")
    }
  }

  @Test func arbitraryAndMutatedFilesAreHandled() throws {
    let seed = testSeed("HotkeyFileTests")
    var random = SplitMix64(state: seed)
    let files = Self.entries.compactMap { $0["text"].map { Array($0.utf8) } }
    let pieces = [
      "\"secretSeed\"", "\"secretPhrase\"", "\"ss58Address\"", "null", "1e9", "\"\"", "\\u0000", "\\ud800", "0x", "{",
      "}", "[", ",", ":", "é", "$NACL", " ",
    ].map { Array($0.utf8) }
    for _ in 0..<1500 {
      exercise(random.bytes(Int.random(in: 0...64, using: &random)), seed)
      guard var file = files.randomElement(using: &random) else { continue }
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let start = Int.random(in: 0...file.count, using: &random)
        let end = min(file.count, start + Int.random(in: 0...8, using: &random))
        switch Int.random(in: 0...3, using: &random) {
        case 0: file.replaceSubrange(start..<end, with: random.bytes(end - start))
        case 1: file.removeSubrange(start..<end)
        case 2: file.removeSubrange(start...)
        default: file.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: start)
        }
      }
      exercise(file, seed)
    }
  }

  @Test(arguments: [0o644, 0o604, 0o602, 0o601, 0o777, 0o100_644] as [UInt32])
  func fileOpenToOthersIsWarnedOf(_ mode: UInt32) throws {
    let warning = try #require(HotkeyFile.warning(path: "/etc/hordelink/hotkey", mode: mode))
    #expect(warning.contains("/etc/hordelink/hotkey is open"))
    #expect(warning.hasSuffix("run: chmod o-rwx /etc/hordelink/hotkey"))
  }

  @Test(arguments: [0o600, 0o640, 0o660, 0o400, 0o750, 0o100_640, 0] as [UInt32])
  func fileOfItsOwnerAndGroupIsNot(_ mode: UInt32) {
    #expect(HotkeyFile.warning(path: "/f", mode: mode) == nil)
  }

  @Test func commandOfTheWarningHoldsForAnyPath() throws {
    for (path, quoted) in [
      ("/a b/c", "'/a b/c'"), ("/it's", #"'/it'\''s'"#), ("/$(x);y", "'/$(x);y'"), ("/ż", "'/ż'"),
      ("/a-b_c.d/9", "/a-b_c.d/9"),
    ] {
      #expect(try #require(HotkeyFile.warning(path: path, mode: 0o644)).hasSuffix("chmod o-rwx \(quoted)"))
    }
  }
}
