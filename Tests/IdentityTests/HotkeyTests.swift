import Foundation
import Identity
import Testing

@Suite("Hotkey files")
struct HotkeyTests {
  private struct Entry: Decodable {
    let name: String
    let text: String
    let result: Answer<KeyAnswer>
  }

  /// What a program does with a file: refuse an encrypted one, take out the fields, make the key.
  private func hotkey(_ text: String) throws -> Hotkey {
    if let form = EncryptedKeyfile(contents: text.utf8) { throw IdentityError.fileEncrypted(form) }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
    let fields = try #require(object as? [String: Any])
    return try hotkey(
      Dictionary(
        uniqueKeysWithValues: HotkeyFields.Name.allCases.compactMap { name in
          (fields[name.rawValue] as? String).map { (name, $0) }
        }))
  }

  private func hotkey(_ fields: [HotkeyFields.Name: String]) throws -> Hotkey {
    try withFields(fields) { try Hotkey($0) }
  }

  /// Fields that nobody knows are passed over, where the original refuses those that are not strings.
  private static let acceptedHere: Set = ["extra field", "cryptoType field"]

  @Test("Files as bittensor-wallet reads them")
  func files() throws {
    var accepted: Set<String> = []
    for entry in try Vectors.load("hotkey_files.json", as: Entry.self) {
      switch entry.result {
      case .value(let answer):
        let hotkey = try hotkey(entry.text)
        #expect(hotkey.publicKey.hex == answer.publicKey, "\(entry.name)")
        #expect(hotkey.publicKey.ss58 == answer.ss58, "\(entry.name)")
        #expect(hotkey.canSign == answer.canSign, "\(entry.name)")
        if answer.canSign == true {
          #expect(hotkey.publicKey.verify(signature: try hotkey.sign([1]), message: [1]), "\(entry.name)")
        } else {
          #expect(throws: IdentityError.cannotSign(ss58: answer.ss58)) { try hotkey.sign([1]) }
        }
      case .raises where Self.acceptedHere.contains(entry.name):
        accepted.insert(entry.name)
        #expect(try hotkey(entry.text).canSign, "\(entry.name)")
      case .raises:
        #expect(throws: (any Error).self, "\(entry.name)") { try hotkey(entry.text) }
      }
    }
    #expect(accepted == Self.acceptedHere)
  }

  @Test(
    "Encrypted files are told by their first bytes",
    arguments: [
      ("$NACL0000", EncryptedKeyfile.nacl), ("$ANSIBLE_VAULT;1.1;AES256\n", .ansibleVault),
      ("gAAAAABk", .fernet), ("{}", nil), ("$NAC", nil), ("", nil), (" $NACL", nil),
    ] as [(String, EncryptedKeyfile?)])
  func encrypted(contents: String, form: EncryptedKeyfile?) {
    #expect(EncryptedKeyfile(contents: Array(contents.utf8)) == form)
  }

  private static let phrase =
    "position chicken ugly key sugar expect another require cinnamon rubber rich veteran"
  private static let seed = "0x37dc08ec78b06499f0460e5ec619ae07eb319f1d332ad8b8d741c657269a8ab1"
  private static let privateKey =
    "0x2862d75da8ba227ed48f2f7d9de9eff6f0ff082f1d94ff7f2c274b7f4b5b9c09"
    + "b30afff252ec1b610b1feb0b149d9e7eb2e0c03fde1201b28f139526cb0232bd"
  private static let address = "5DyzX6hd4nx2jQtdLzDGrCYar7D4LQqhKAUNc5hrDvqBSVLN"
  private static let otherSeed = "0xc8bcf4b2a99ae57b0cb84d4c11c6e54f53ba867a2aec07dd6953da5f9a956330"

  /// The order, and what each field may hold, are what bittensor-wallet 4.0.0 shows.
  @Test("The phrase comes first, then the seed, the private key and the address")
  func order() throws {
    for fields in [
      [.secretPhrase: Self.phrase, .secretSeed: Self.otherSeed],
      [.privateKey: Self.otherSeed, .secretSeed: Self.seed],
      [.privateKey: String(Self.privateKey.dropFirst(2)), .ss58Address: "abc"],
      [.publicKey: "zz", .secretSeed: Self.privateKey],
      [.accountId: "zz", .ss58Address: Self.address],
    ] as [[HotkeyFields.Name: String]] {
      #expect(try hotkey(fields).publicKey.ss58 == Self.address)
    }
  }

  @Test("A field that cannot be used is an error, even with another one that could be")
  func badFields() {
    for (fields, error) in [
      ([:], .fileWithoutKey),
      ([.accountId: Self.seed, .publicKey: Self.seed], .fileWithoutKey),
      ([.secretPhrase: "", .secretSeed: Self.seed], .phraseWordCount(words: 0)),
      ([.secretSeed: "0xzz"], .notHexadecimal(what: "secretSeed")),
      ([.secretSeed: ""], .wrongLength(what: "the seed", expected: 32, actual: 0)),
      ([.privateKey: "x"], .notHexadecimal(what: "privateKey")),
      ([.privateKey: Self.seed], .wrongLength(what: "the private key", expected: 64, actual: 32)),
      ([.privateKey: String(repeating: "f", count: 128)], .privateKeyInvalid),
      ([.ss58Address: "abc"], .addressLength),
    ] as [([HotkeyFields.Name: String], IdentityError)] {
      #expect(throws: error) { try hotkey(fields) }
    }
  }

  @Test("Every error names what is wrong and what to do, and no secret")
  func errors() {
    let errors: [IdentityError] = [
      .sodiumFailed(call: "sodium_init"), .notHexadecimal(what: "secretSeed"),
      .wrongLength(what: "the seed", expected: 32, actual: 31), .notBase58, .addressLength, .addressChecksum,
      .addressPrefix, .phraseWordCount(words: 25), .phraseWordUnknown(position: 3), .phraseChecksum,
      .privateKeyInvalid, .derivationPathInvalid, .messageTooLong(bytes: 1), .fileEncrypted(.nacl),
      .fileWithoutKey, .cannotSign(ss58: Self.address),
    ]
    #expect(Set(errors.map(\.description)).count == errors.count)
    for error in errors { #expect(error.description.contains(": "), "\(error)") }
    #expect(IdentityError.phraseWordCount(words: 25).description.contains("more than 24"))
  }
}
