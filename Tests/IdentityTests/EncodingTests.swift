import TestSupport
import Testing

@testable import Identity

@Suite("Addresses, Base58, hexadecimal and BLAKE2b")
struct EncodingTests {
  private struct Entry: Decodable {
    let input: String
    let result: Answer<KeyAnswer>
  }

  /// The errors of the original that the vectors know, and ours.
  private static let errors: [String: IdentityError] = [
    "raises ValueError: Invalid SS58 address: Length is bad": .addressLength,
    "raises ValueError: Invalid SS58 address: Base 58 requirement is violated": .notBase58,
  ]

  @Test("Addresses as bittensor-wallet reads them")
  func addresses() throws {
    for entry in try Vectors.load("ss58.json", as: Entry.self) {
      switch entry.result {
      case .value(let answer):
        let key = try PublicKey(ss58: entry.input)
        #expect(key.hex == answer.publicKey)
        #expect(key.ss58 == answer.ss58)
        #expect("\(key)" == answer.ss58)
      case .raises(let text):
        let expected = try #require(Self.errors[text], "an error the test does not know: \(text)")
        #expect(throws: expected, "\(entry.input)") { try PublicKey(ss58: entry.input) }
      }
    }
  }

  @Test("An address with any one character changed is refused")
  func mistypedAddress() throws {
    let address = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
    for index in address.indices {
      for other in "1z" where other != address[index] {
        var mistyped = address
        mistyped.replaceSubrange(index...index, with: String(other))
        #expect(throws: IdentityError.self, "\(mistyped)") { try PublicKey(ss58: mistyped) }
      }
    }
    #expect(throws: IdentityError.addressChecksum) { try PublicKey(ss58: address.dropLast() + "Z") }
  }

  @Test("Addresses of other networks, too short, too long")
  func foreignAddresses() {
    for (address, error) in [
      // Prefix 0 (Polkadot) and prefix 255, of two bytes, of the same well-known key.
      ("15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5", IdentityError.addressPrefix),
      ("yGHXkYLYqxijLKKfd9Q2CB9shRVu8rPNBS53wvwGTutYg4zTg", .addressPrefix),
      ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKut", .addressLength),
      (String(repeating: "5", count: 100_000), .addressLength),
      (String(repeating: "1", count: 35), .addressChecksum),
      ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY\n", .notBase58),
      ("5Ġ", .notBase58),
    ] {
      #expect(throws: error) { try PublicKey(ss58: address) }
    }
  }

  @Test("Base58 there and back, leading zeros included")
  func base58() throws {
    // draft-msporny-base58, section 5.
    #expect(Base58.encode(Array("Hello World!".utf8)) == "2NEpo7TZRRrLZSi2U")
    #expect(Base58.encode([0, 0, 0x28, 0x7F, 0xB4, 0xCD]) == "11233QC4")
    #expect(Base58.encode([]).isEmpty)
    let seed = testSeed("EncodingTests")
    var generator = SplitMix64(state: seed)
    for count in 0..<80 {
      let bytes = [UInt8](repeating: 0, count: count % 4) + generator.bytes(count)
      #expect(try Base58.decode(Base58.encode(bytes)) == bytes, "seed \(seed)")
    }
    #expect(throws: IdentityError.wrongLength(what: "the Base58 text", expected: 128, actual: 129)) {
      try Base58.decode(String(repeating: "z", count: 129))
    }
  }

  @Test("Hexadecimal in either case, with 0x where it belongs")
  func hex() throws {
    #expect(Hex.encode([0x00, 0x0A, 0xFF]) == "000aff")
    #expect(try Hex.decode("0x000aFF") == [0x00, 0x0A, 0xFF])
    #expect(try Hex.decode("000aff", prefix: .forbidden) == [0x00, 0x0A, 0xFF])
    #expect(try Hex.decode("0x", prefix: .required).isEmpty)
    for (text, prefix) in [
      ("0", Hex.Prefix.optional), ("0g", .optional), ("0X00", .optional), (" 00", .optional),
      ("é", .optional),
      ("0x0x", .optional), ("00", .required), ("0x00", .forbidden),
    ] {
      #expect(throws: IdentityError.notHexadecimal(what: "it"), "\(text)") {
        try Hex.decode(text, named: "it", prefix: prefix)
      }
    }
  }

  /// RFC 7693, appendix A.
  @Test("BLAKE2b-512 of abc, in however many parts")
  func blake2b() {
    let expected =
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
      + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
    #expect(Hex.encode(Blake2b.hash512(Array("abc".utf8))) == expected)
    #expect(Hex.encode(Blake2b.hash512(Array("a".utf8), [], Array("bc".utf8))) == expected)
    #expect(Blake2b.hash512() == Blake2b.hash512([]))
  }

  /// The blake2 that Python has, under the same key.
  @Test("The token of a Listener is BLAKE2b-256 under the secret")
  func listenerTokens() throws {
    let secret = try #require(ListenerSecret((0..<32).map { UInt8($0) }))
    let channel = "11111111-2222-4333-8444-555555555555"
    let token = secret.token(channel: channel, generation: 7)
    #expect(Hex.encode(token) == "6281a5d677ea9a91a54b17b2fe783898f25e94143846f1f71ec6cdc36a4685f0")
    #expect(secret.isToken(token, channel: channel, generation: 7))
    #expect(!secret.isToken(token, channel: channel, generation: 8))
    #expect(!secret.isToken(token, channel: "specs", generation: 7))
    #expect(!secret.isToken(Array(token.dropLast()), channel: channel, generation: 7))
    #expect(!secret.isToken([], channel: channel, generation: 7))
    #expect(try !ListenerSecret().isToken(token, channel: channel, generation: 7))
    #expect(ListenerSecret([]) == nil)
  }

  @Test("Keys and signatures of another length are refused")
  func lengths() {
    #expect(throws: IdentityError.wrongLength(what: "the public key", expected: 32, actual: 33)) {
      try PublicKey([UInt8](repeating: 0, count: 33))
    }
    #expect(throws: IdentityError.wrongLength(what: "the signature", expected: 64, actual: 0)) {
      try Signature([])
    }
  }
}
