/// An sr25519 public key: 32 bytes, taken as they come.
///
/// That they are a point of the curve is checked where it matters, when a signature is verified: an address of 32
/// arbitrary bytes is well-formed, and no signature verifies under it.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  /// The length of a key in bytes.
  public static let count = 32

  /// The key: ``count`` bytes.
  public let bytes: [UInt8]

  /// Takes a key's bytes.
  /// - Throws: ``IdentityError/wrongLength(what:expected:actual:)``.
  public init(_ bytes: some Collection<UInt8>) throws(IdentityError) {
    guard bytes.count == Self.count else {
      throw .wrongLength(what: "the public key", expected: Self.count, actual: bytes.count)
    }
    self.bytes = Array(bytes)
  }

  /// Reads a key from hexadecimal; the facilitator's authentication has it without `0x` (PROTOCOL.md).
  /// - Throws: ``IdentityError/notHexadecimal(what:)``, ``IdentityError/wrongLength(what:expected:actual:)``.
  public init(hex: String, prefix: Hex.Prefix = .optional) throws(IdentityError) {
    try self.init(Hex.decode(hex, named: "the public key", prefix: prefix))
  }

  /// Reads a key from its address with prefix 42.
  /// - Throws: what ``SS58/decode(_:)`` throws.
  public init(ss58: String) throws(IdentityError) {
    self = try SS58.decode(ss58)
  }

  /// The key in lower-case hexadecimal, without `0x`.
  public var hex: String { Hex.encode(bytes) }

  /// The key as an address with prefix 42.
  public var ss58: String { SS58.encode(self) }

  /// The address.
  public var description: String { ss58 }

  /// Whether `signature` is this key's over `message`, or over `<Bytes>message</Bytes>`, which wallets in a browser
  /// sign instead (PROTOCOL.md, "V2JobRequest").
  ///
  /// False as well for a signature without schnorrkel's marker or with a non-canonical s, for a key that is no point
  /// or the neutral element, for a message beyond ``Signature/messageLimit``, and when libsodium cannot start
  /// (``Sodium/start()`` says so).
  public func verify(signature: Signature, message: [UInt8]) -> Bool {
    do { try Sodium.start() } catch { return false }
    guard message.count <= Signature.messageLimit else { return false }
    if Schnorrkel.verify(signature, of: message, by: self) { return true }
    let wrapped = Array("<Bytes>".utf8) + message + Array("</Bytes>".utf8)
    return Schnorrkel.verify(signature, of: wrapped, by: self)
  }
}

/// An sr25519 signature: 64 bytes, taken as they come; see ``PublicKey/verify(signature:message:)``.
public struct Signature: Hashable, Sendable, CustomStringConvertible {
  /// The length of a signature in bytes.
  public static let count = 64

  /// The longest message that is signed or verified, in bytes: 64 MiB, above every frame this project takes.
  public static let messageLimit = 64 << 20

  /// The signature: ``count`` bytes, R and then s with the marker bit.
  public let bytes: [UInt8]

  /// Takes a signature's bytes.
  /// - Throws: ``IdentityError/wrongLength(what:expected:actual:)``.
  public init(_ bytes: some Collection<UInt8>) throws(IdentityError) {
    guard bytes.count == Self.count else {
      throw .wrongLength(what: "the signature", expected: Self.count, actual: bytes.count)
    }
    self.bytes = Array(bytes)
  }

  /// Reads a signature from hexadecimal; the facilitator's authentication has it with `0x` (PROTOCOL.md).
  /// - Throws: ``IdentityError/notHexadecimal(what:)``, ``IdentityError/wrongLength(what:expected:actual:)``.
  public init(hex: String, prefix: Hex.Prefix = .optional) throws(IdentityError) {
    try self.init(Hex.decode(hex, named: "the signature", prefix: prefix))
  }

  /// The signature in lower-case hexadecimal, without `0x`.
  public var hex: String { Hex.encode(bytes) }

  /// The signature in hexadecimal; it is not a secret.
  public var description: String { hex }
}
