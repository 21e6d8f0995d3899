import Testing

@testable import Identity

@Suite("Secret keys, phrases and derivation")
struct SecretKeyTests {
  private struct Entry: Decodable {
    let mnemonic: String
    let publicKey: String
    let ss5842: String
    let entropy: String
    let miniSecretSeed: String
    let sr25519Private64SchnorrkelBytes: String
  }

  private func hex(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> String {
    Hex.encode(UnsafeBufferPointer(start: bytes, count: count))
  }

  @Test("From a phrase to its entropy, seed, private key, public key and address")
  func keys() throws {
    for entry in try Vectors.load("keys.json", as: Entry.self) {
      let entropy = try Phrase.withEntropy(of: entry.mnemonic.utf8) { hex($0, $1) }
      #expect(entropy == entry.entropy)
      let seed = try Phrase.withSeed(of: entry.mnemonic.utf8, password: "") { hex($0, 32) }
      #expect(seed == entry.miniSecretSeed)

      let privateKey = try Hex.decode(entry.sr25519Private64SchnorrkelBytes)
      for key in try [
        SecretKey(phrase: entry.mnemonic.utf8), SecretKey(seed: Hex.decode(entry.miniSecretSeed)),
        SecretKey(privateKey: privateKey),
      ] {
        #expect(key.withBytes { hex($0, 64) } == entry.sr25519Private64SchnorrkelBytes)
        #expect(key.publicKey.hex == entry.publicKey)
        #expect(key.publicKey.ss58 == entry.ss5842)
        #expect(key.publicKey.verify(signature: try key.sign([1]), message: [1]))
      }
    }
  }

  private struct Derived: Decodable {
    let uri: String
    let publicKey: String
    let ss5842: String
  }

  @Test("Derived development keys")
  func derivation() throws {
    for entry in try Vectors.load("keys_from_uri.json", as: Derived.self) {
      let key = try SecretKey.development(entry.uri)
      #expect(key.publicKey.hex == entry.publicKey, "\(entry.uri)")
      #expect(key.publicKey.ss58 == entry.ss5842, "\(entry.uri)")
    }
  }

  /// The addresses are what bittensor-wallet 4.0.0 answers.
  @Test(
    "Numbers, soft steps, and long and foreign names in a path",
    arguments: [
      ("//Alice/soft", "5C8PhJPLE54x23RjmqBcEEnALryCDWdTJM5xLaoL9W8XEpnt"),
      ("/x", "5G1V5E6uVCXJvwjREm1ZGG2PGzrDUVUu2wCQgHn2YG1FdnK8"),
      ("//1//a", "5EcdsVrDWZyDi5AhBarvSZasaKDZLaWX1VpLEDCjNHZbD5pR"),
      ("//007", "5GHJzqvG6tXnngCpG7B12qjUvbo5e4e9z8Xjidk3CQZHxTPZ"),
      ("//-0", "5EU6n5LQ1BYeVCZ3RUkkbpHQv4nV6tXUzhr4wzBbXmSMbruz"),
      ("//+5", "5EFb84yH9tpcFuiKUcsmdoF7xeeY3ajG1ZLQimxQoFt9HMKR"),
      ("//18446744073709551615", "5FnmmEqtcYdJa7ikbQXggS685DpNeE9j7ob6oBYMyD9kQLxz"),
      ("//18446744073709551616", "5EpxyqTWXnWapSa55fXrq8JtqD41YREqn7qJobZ69D7833f8"),
      ("//" + String(repeating: "x", count: 40), "5EJWRwGLcZ1KGDHtgrvTEQFjFL715DzcorquPqKBbEEvWQtv"),
      ("//żółć", "5FCSgyecWCHQQEs9k3yHs8Yd1nAwcBsmoc9BAh5ftyGyykBq"),
    ])
  func paths(path: String, address: String) throws {
    #expect(try SecretKey.development(path).publicKey.ss58 == address)
  }

  @Test("A key of a soft step signs")
  func softKeySigns() throws {
    let key = try SecretKey.development("/x")
    #expect(key.publicKey.verify(signature: try key.sign([1]), message: [1]))
  }

  @Test(
    "Malformed paths are refused",
    arguments: [
      "Alice", "/", "//", "///pw", "//Alice///pw", "//Alice/", "//" + String(repeating: "x", count: 1023),
    ])
  func malformedPaths(path: String) {
    #expect(throws: IdentityError.derivationPathInvalid) { try SecretKey.development(path) }
  }

  private static let phrase =
    "position chicken ugly key sugar expect another require cinnamon rubber rich veteran"

  @Test("White space between words does not matter, a password does")
  func spelling() throws {
    let key = try SecretKey(phrase: Self.phrase.utf8).publicKey
    // U+3000 stands between the words of a Japanese phrase, and in what is copied from one.
    for space in [" \n\t", "\u{3000}", "\u{A0}"] {
      let spaced = "  " + Self.phrase.split(separator: " ").joined(separator: space) + "\n"
      #expect(try SecretKey(phrase: spaced.utf8).publicKey == key)
    }
    #expect(try SecretKey(phrase: Self.phrase.utf8, password: "x").publicKey != key)
  }

  @Test("Wrong phrases are refused, by what is wrong with them")
  func wrongPhrases() {
    for (phrase, error) in [
      ("", IdentityError.phraseWordCount(words: 0)),
      ("a b c", .phraseWordCount(words: 3)),
      (Self.phrase + " veteran", .phraseWordCount(words: 13)),
      (String(repeating: "abandon ", count: 100_000), .phraseWordCount(words: 25)),
      (Self.phrase.replacing("ugly", with: "uglie"), .phraseWordUnknown(position: 3)),
      (Self.phrase.uppercased(), .phraseWordUnknown(position: 1)),
      (Self.phrase.replacing("key", with: "k\u{65}\u{301}y"), .phraseWordUnknown(position: 4)),
      (Self.phrase.replacing("key", with: "aaaaaaaaakey"), .phraseWordUnknown(position: 4)),
      (Self.phrase.replacing("key", with: "\0key"), .phraseWordUnknown(position: 4)),
      (Self.phrase.replacing("veteran", with: "zoo"), .phraseChecksum),
    ] {
      #expect(throws: error) { try SecretKey(phrase: phrase.utf8) }
    }
  }

  @Test("Seeds and private keys of a wrong length or value are refused")
  func wrongBytes() throws {
    #expect(throws: IdentityError.wrongLength(what: "the seed", expected: 32, actual: 31)) {
      try SecretKey(seed: [UInt8](repeating: 1, count: 31))
    }
    #expect(throws: IdentityError.wrongLength(what: "the private key", expected: 64, actual: 65)) {
      try SecretKey(privateKey: [UInt8](repeating: 1, count: 65))
    }
    let order = try Hex.decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
    let zero = [UInt8](repeating: 0, count: 32)
    for scalar in [order, zero, [UInt8](repeating: 0xFF, count: 32)] {
      #expect(throws: IdentityError.privateKeyInvalid) { try SecretKey(privateKey: scalar + zero) }
    }
  }

  @Test("No way of printing a key shows more than its address")
  func printing() throws {
    let seed = String(repeating: "ab", count: 32)
    let key = try SecretKey(seed: Hex.decode(seed))
    let privateKey = key.withBytes { hex($0, 64) }
    var dumped = ""
    dump(Hotkey(key), to: &dumped)
    dump(key, to: &dumped)
    var printed = "\(key) \(String(reflecting: key))"
    withFields([.privateKey: privateKey, .secretPhrase: Self.phrase, .secretSeed: seed]) { fields in
      dump(fields, to: &dumped)
      printed += "\(fields) \(String(reflecting: fields)) \(dumped)"
    }
    #expect(printed.contains("HotkeyFields with privateKey, secretPhrase, secretSeed"))
    #expect(printed.contains(key.publicKey.ss58))
    for secret in [seed, privateKey, String(privateKey.prefix(16)), "chicken"] {
      #expect(!printed.contains(secret))
    }
  }
}
