import Foundation
import TestSupport
import Testing

@testable import Identity

@Suite("Signatures")
struct SignatureTests {
  private struct Entry: Decodable {
    struct Repeat: Decodable {
      let byte: String
      let count: Int
    }
    let name: String
    let publicKey: String
    let messageHex: String?
    let messageRepeat: Repeat?
    let signature: String
    let bittensorWallet: Answer<Bool>

    func message() throws -> [UInt8] {
      if let messageHex { return try Hex.decode(messageHex) }
      let messageRepeat = try #require(messageRepeat)
      let byte = try #require(Hex.decode(messageRepeat.byte).first)
      return [UInt8](repeating: byte, count: messageRepeat.count)
    }
  }

  @Test("The verdicts of bittensor-wallet")
  func verdicts() throws {
    for entry in try Vectors.load("sr25519_verify.json", as: Entry.self) {
      let message = try entry.message()
      let agrees = entry.bittensorWallet.agrees {
        try PublicKey(hex: entry.publicKey)
          .verify(signature: Signature(hex: entry.signature), message: message)
      }
      #expect(agrees, "\(entry.name)")
    }
  }

  private struct Authentication: Decodable {
    struct Request: Decodable {
      let publicKey: String
      let signature: String
    }
    let name: String
    let json: String
    let verify: Answer<Bool>
    let ss58: String
  }

  @Test("The facilitator's verdicts on authentication")
  func authentication() throws {
    for entry in try Vectors.load("auth.json", as: Authentication.self) {
      let request = try Vectors.decode(Authentication.Request.self, from: Data(entry.json.utf8))
      #expect(try PublicKey(hex: request.publicKey).ss58 == entry.ss58, "\(entry.name)")
      let agrees = entry.verify.agrees {
        let key = try PublicKey(hex: request.publicKey, prefix: .forbidden)
        return key.verify(
          signature: try Signature(hex: request.signature, prefix: .required), message: key.bytes)
      }
      #expect(agrees, "\(entry.name)")
    }
  }

  @Test("A hotkey authenticates by signing its own public key")
  func authenticates() throws {
    let hotkey = Hotkey(try .development("//Alice"))
    let signature = try hotkey.sign(hotkey.publicKey.bytes)
    #expect(hotkey.publicKey.verify(signature: signature, message: hotkey.publicKey.bytes))
    #expect(
      try !SecretKey.development("//Bob").publicKey.verify(
        signature: signature, message: hotkey.publicKey.bytes))
  }

  @Test("What a random key signs verifies, and nothing near it does")
  func roundTrip() throws {
    let seed = testSeed("SignatureTests")
    var generator = SplitMix64(state: seed)
    for length in [0, 1, 31, 32, 63, 64, 65, 130, 165, 166, 167, 332, 1000] {
      let key = try SecretKey(seed: generator.bytes(SecretKey.seedCount))
      let message = generator.bytes(length)
      let signature = try key.sign(message)
      let context: Comment = "length \(length), seed \(seed)"
      #expect(key.publicKey.verify(signature: signature, message: message), context)
      #expect(signature.bytes[63] & 0x80 != 0, context)
      #expect(try key.sign(message) != signature, "a signature is randomised; \(context)")
      #expect(!key.publicKey.verify(signature: signature, message: message + [0]), context)

      var bytes = signature.bytes
      bytes[.random(in: 0..<64, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      #expect(try !key.publicKey.verify(signature: Signature(bytes), message: message), context)
      guard length > 0 else { continue }
      var other = message
      other[.random(in: 0..<length, using: &generator)] ^= 1
      #expect(!key.publicKey.verify(signature: signature, message: other), context)
    }
  }

  @Test("A signature over <Bytes>message</Bytes> verifies for the message, and not the other way round")
  func wrapped() throws {
    let key = try SecretKey.development("//Alice")
    let signature = try key.sign(Array("<Bytes>hello</Bytes>".utf8))
    #expect(key.publicKey.verify(signature: signature, message: Array("hello".utf8)))
    #expect(key.publicKey.verify(signature: signature, message: Array("<Bytes>hello</Bytes>".utf8)))
    let plain = try key.sign(Array("hello".utf8))
    #expect(!key.publicKey.verify(signature: plain, message: Array("<Bytes>hello</Bytes>".utf8)))
  }

  /// With A = 0 the equation R = sG - kA holds for any s of one's choice.
  @Test("Nobody can sign for the neutral element")
  func neutralElement() throws {
    let key = try SecretKey.development("//Alice")
    var response = key.withBytes { Array(UnsafeBufferPointer(start: $0, count: 32)) }
    response[31] |= 0x80
    let forged = try Signature(key.publicKey.bytes + response)
    let neutral = try PublicKey([UInt8](repeating: 0, count: 32))
    #expect(!neutral.verify(signature: forged, message: Array("hello".utf8)))
  }

  @Test("A key that is no point verifies nothing")
  func badPoints() throws {
    let signature = try SecretKey.development("//Alice").sign([])
    // The field's order, a negative element, all bits set, and one that decodes to no point.
    for hex in [
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
    ] {
      #expect(try !PublicKey(hex: hex).verify(signature: signature, message: []), "\(hex)")
    }
  }

  @Test("Arbitrary bytes are refused, never crashed on")
  func arbitraryBytes() throws {
    let seed = testSeed("SignatureTests")
    var generator = SplitMix64(state: seed)
    for _ in 0..<200 {
      let key = try PublicKey(generator.bytes(32))
      let signature = try Signature(generator.bytes(64))
      #expect(!key.verify(signature: signature, message: generator.bytes(9)), "seed \(seed)")
    }
  }

  @Test("A message beyond the limit is not signed")
  func tooLong() throws {
    let key = try SecretKey.development("//Alice")
    let message = [UInt8](repeating: 0, count: Signature.messageLimit + 1)
    #expect(throws: IdentityError.messageTooLong(bytes: message.count)) { try key.sign(message) }
  }

  @Test("Many tasks sign with one key at once")
  func concurrency() async throws {
    let hotkey = Hotkey(try .development("//Alice"))
    let verified = try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<UInt8(32) {
        group.addTask {
          hotkey.publicKey.verify(signature: try hotkey.sign([number]), message: [number])
        }
      }
      return try await group.reduce(true) { $0 && $1 }
    }
    #expect(verified)
  }
}
