import CSodium

/// An sr25519 secret key with its public key.
///
/// The secret, a scalar and a nonce of 32 bytes each, stays in memory that libsodium guards, keeps from being swapped
/// as far as the process's limit allows, and wipes when the last reference goes. It cannot be read back, and neither
/// `description` nor reflection shows it.
public final class SecretKey: Sendable, CustomStringConvertible, CustomReflectable {
  /// The length of a seed, or mini-secret, in bytes.
  public static let seedCount = 32
  /// The length of a private key as schnorrkel writes it, in bytes.
  public static let privateKeyCount = 64

  /// The public key of the secret.
  public let publicKey: PublicKey

  private let memory: SecretMemory

  /// Makes a key of the 64 bytes that `fill` writes, scalar and nonce.
  init(filling fill: (UnsafeMutablePointer<UInt8>) throws(IdentityError) -> Void) throws(IdentityError) {
    memory = try SecretMemory(count: Self.privateKeyCount, fill: fill)
    guard Schnorrkel.isReduced(memory.bytes) else { throw .privateKeyInvalid }
    var point = [UInt8](repeating: 0, count: PublicKey.count)
    // Fails exactly for a scalar of zero.
    guard crypto_scalarmult_ristretto255_base(&point, memory.bytes) == 0 else { throw .privateKeyInvalid }
    publicKey = try PublicKey(point)
  }

  /// Makes the key of a 32-byte seed, or mini-secret, expanded as Substrate does it: schnorrkel's Ed25519 mode.
  ///
  /// The caller's memory stays the caller's to wipe.
  /// - Throws: ``IdentityError/wrongLength(what:expected:actual:)``, ``IdentityError/sodiumFailed(call:)``.
  public convenience init(seed: some Collection<UInt8>) throws(IdentityError) {
    guard seed.count == Self.seedCount else {
      throw .wrongLength(what: "the seed", expected: Self.seedCount, actual: seed.count)
    }
    try self.init { secret in
      withWipedScratch(Self.seedCount) { copy in
        for (index, byte) in seed.enumerated() { copy[index] = byte }
        Self.expand(seed: copy, into: secret)
      }
    }
  }

  /// Takes a 64-byte private key as schnorrkel writes it: the scalar, reduced and not multiplied by the cofactor, and
  /// the nonce.
  ///
  /// The caller's memory stays the caller's to wipe.
  /// - Throws: ``IdentityError/wrongLength(what:expected:actual:)``, ``IdentityError/privateKeyInvalid``,
  ///   ``IdentityError/sodiumFailed(call:)``.
  public convenience init(privateKey: some Collection<UInt8>) throws(IdentityError) {
    guard privateKey.count == Self.privateKeyCount else {
      throw .wrongLength(what: "the private key", expected: Self.privateKeyCount, actual: privateKey.count)
    }
    try self.init { secret in
      for (index, byte) in privateKey.enumerated() { secret[index] = byte }
    }
  }

  /// Makes the key of an English BIP-39 phrase, the way Substrate does it (PROTOCOL.md, "Keys").
  ///
  /// - Parameters:
  ///   - phrase: 12, 15, 18, 21 or 24 lower-case words with white space between them, in UTF-8.
  ///   - password: the phrase's password, empty for none.
  /// - Throws: ``IdentityError/phraseWordCount(words:)``, ``IdentityError/phraseWordUnknown(position:)``,
  ///   ``IdentityError/phraseChecksum``, ``IdentityError/sodiumFailed(call:)``.
  public convenience init(phrase: some Sequence<UInt8>, password: String = "") throws(IdentityError) {
    try self.init { secret throws(IdentityError) in
      try Phrase.withSeed(of: phrase, password: password) { seed in Self.expand(seed: seed, into: secret) }
    }
  }

  /// The public key alone.
  public var description: String { "SecretKey of \(publicKey)" }

  /// Shows the public key alone.
  public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }

  /// A signature of `message` by this key, another one each time.
  ///
  /// - Throws: ``IdentityError/messageTooLong(bytes:)``, ``IdentityError/sodiumFailed(call:)``.
  public func sign(_ message: [UInt8]) throws(IdentityError) -> Signature {
    guard message.count <= Signature.messageLimit else { throw .messageTooLong(bytes: message.count) }
    return try withBytes { secret throws(IdentityError) in
      try Schnorrkel.sign(message, secret: secret, publicKey: publicKey)
    }
  }

  /// Lends the scalar and the nonce, 64 bytes, to `body`.
  func withBytes<Result, Failure: Error>(
    _ body: (UnsafePointer<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withExtendedLifetime(memory) { () throws(Failure) in
      try body(memory.bytes)
    }
  }

  /// Writes the 64 bytes of the key of a 32-byte seed into `secret`.
  static func expand(seed: UnsafePointer<UInt8>, into secret: UnsafeMutablePointer<UInt8>) {
    _ = crypto_hash_sha512(secret, seed, UInt64(seedCount))
    // The clamping of Ed25519 (RFC 8032, section 5.1.5) ...
    secret[0] &= 0xF8
    secret[31] &= 0x3F
    secret[31] |= 0x40
    // ... and then a division by the cofactor 8, exact since the low three bits are clear: ristretto255 has none.
    for index in 0..<31 { secret[index] = secret[index] >> 3 | secret[index + 1] << 5 }
    secret[31] >>= 3
  }
}
