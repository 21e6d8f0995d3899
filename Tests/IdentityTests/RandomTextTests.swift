import TestSupport
import Testing

@testable import Identity

/// Addresses, phrases, paths and hexadecimal from anybody: a key or a named error, whatever the text.
@Suite("Random texts")
struct RandomTextTests {
  private static let address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
  private static let phrase =
    "position chicken ugly key sugar expect another require cinnamon rubber rich veteran"

  private func mutated(_ text: String, _ random: inout SplitMix64) -> String {
    var scalars = Array(text.unicodeScalars)
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0...scalars.count, using: &random)
      let scalar = Array("1zZ0OIl /\u{0}é\u{301}😀 \n".unicodeScalars).randomElement(using: &random) ?? " "
      switch Int.random(in: 0...2, using: &random) {
      case 0: scalars.insert(scalar, at: place)
      case 1 where place < scalars.count: scalars[place] = scalar
      case 2 where place < scalars.count: scalars.remove(at: place)
      default: scalars.removeSubrange(place...)
      }
    }
    return String(String.UnicodeScalarView(scalars))
  }

  /// Any text at all, valid UTF-8 made of random bytes.
  private func noise(_ random: inout SplitMix64) -> String {
    String(decoding: random.bytes(Int.random(in: 0...80, using: &random)), as: UTF8.self)
  }

  @Test("An address is read exactly when it is the one that its key is written as")
  func addresses() {
    let seed = testSeed("RandomTextTests.addresses")
    var random = SplitMix64(state: seed)
    var refused = 0
    for round in 0..<3000 {
      let text = round % 2 == 0 ? noise(&random) : mutated(Self.address, &random)
      do {
        #expect(try PublicKey(ss58: text).ss58 == text, "seed \(seed): \(text)")
      } catch {
        refused += 1
        #expect("\(error)".contains(": "), "seed \(seed): \(text)")
      }
    }
    #expect(refused > 0)
  }

  @Test("Any 32 bytes come back from their address")
  func addressesThereAndBack() throws {
    let seed = testSeed("RandomTextTests.addressesThereAndBack")
    var random = SplitMix64(state: seed)
    for _ in 0..<300 {
      let key = try PublicKey(random.bytes(32))
      #expect(try PublicKey(ss58: key.ss58) == key, "seed \(seed)")
    }
  }

  @Test("A mutated phrase is refused by what is wrong with it, or has entropy")
  func phrases() {
    let seed = testSeed("RandomTextTests.phrases")
    var random = SplitMix64(state: seed)
    let words = englishWords.split(whereSeparator: \.isWhitespace).map { String($0) }
    var counts = (read: 0, refused: 0)
    for round in 0..<3000 {
      let text =
        switch round % 3 {
        case 0: noise(&random)
        case 1: mutated(Self.phrase, &random)
        // Words of the list in a sound number: one in sixteen at least has a sound checksum.
        default: (0..<12).map { _ in words.randomElement(using: &random) ?? "" }.joined(separator: " ")
        }
      do {
        let count = try Phrase.withEntropy(of: text.utf8) { $1 }
        #expect(count >= 16 && count <= 32, "seed \(seed): \(text)")
        counts.read += 1
      } catch {
        switch error {
        case .phraseWordCount(let words): #expect((0...25).contains(words), "seed \(seed): \(text)")
        case .phraseWordUnknown(let position): #expect((1...24).contains(position), "seed \(seed): \(text)")
        case .phraseChecksum: break
        default: Issue.record("seed \(seed): \(text): \(error)")
        }
        counts.refused += 1
      }
    }
    #expect(counts.read > 0 && counts.refused > 0, "seed \(seed)")
  }

  @Test("Huge texts are refused by their length, in no time that grows with its square")
  func hugeTexts() {
    let huge = String(repeating: "z", count: 4 << 20)
    #expect(throws: IdentityError.addressLength) { try PublicKey(ss58: huge) }
    #expect(throws: IdentityError.phraseWordCount(words: 1)) { try SecretKey(phrase: huge.utf8) }
    #expect(throws: IdentityError.phraseWordCount(words: 25)) {
      try SecretKey(phrase: String(repeating: "zoo ", count: 1 << 20).utf8)
    }
    #expect(throws: IdentityError.notHexadecimal(what: "the public key")) { try PublicKey(hex: huge) }
    #expect(throws: IdentityError.derivationPathInvalid) { try SecretKey.development("//" + huge) }
  }

  @Test("Paths and hexadecimal made of anything are a key or a named error")
  func pathsAndHexadecimal() {
    let seed = testSeed("RandomTextTests.pathsAndHexadecimal")
    var random = SplitMix64(state: seed)
    for round in 0..<300 {
      let text = round % 2 == 0 ? noise(&random) : mutated("//Alice/soft//0", &random)
      do { _ = try SecretKey.development(text) } catch {
        #expect(error == .derivationPathInvalid, "seed \(seed): \(text)")
      }
      if let bytes = try? Hex.decode(text) {
        #expect(Hex.encode(bytes) == text.lowercased().trimmingPrefix("0x"), "seed \(seed): \(text)")
      }
    }
  }
}
