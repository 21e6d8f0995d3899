import Identity
import JSON

/// The signature that came with a request. Source: PROTOCOL.md, V2JobRequest.
public struct RequestSignature: Sendable, Hashable {
  /// The signer's ss58 address, as received.
  public let signatory: String
  /// Nanoseconds since 1970 by the signer's clock; see `verifyAge`. Only 0 to 2^64-1 can be verified.
  public let timestamp: DecimalInteger
  /// 64 bytes when it is well formed.
  public let bytes: [UInt8]

  /// The signature in a validated model; nil for null.
  init?(_ model: JSONValue?) {
    guard let model, case .object = model, case .number(let timestamp) = model["timestamp_ns"],
      let timestamp = DecimalInteger(json: timestamp),
      let bytes = Base64.decodeLaxly((model["signature"]?.stringValue ?? "").utf8)
    else { return nil }
    signatory = model["signatory"]?.stringValue ?? ""
    self.timestamp = timestamp
    self.bytes = bytes
  }

  /// 32 bytes that tell this signature from every other: the first half of its BLAKE2b-512. A known one under a
  /// new uuid is a replay (DESIGN.md, One job).
  public var fingerprint: [UInt8] { Array(Blake2b.hash512(bytes).prefix(32)) }
}

/// The addresses whose signatures count: the validator's own hotkey and the trusted list.
public struct TrustedSigners: Sendable {
  private let addresses: Set<[UInt8]>

  /// Trusts the owners of `keys`.
  public init(_ keys: some Sequence<PublicKey>) { addresses = Set(keys.map { Array($0.ss58.utf8) }) }

  /// Whether `signatory` is one of them, letter for letter.
  public func contains(_ signatory: String) -> Bool { addresses.contains(Array(signatory.utf8)) }
}

/// Why a request's signature does not hold.
public enum VerificationError: Error, Hashable, CustomStringConvertible {
  /// Another reader of the text may find something else in it than what was signed.
  case ambiguous(SchemaViolation)
  case missing
  case untrustedSigner(String)
  /// The signatory is no ss58 address.
  case invalidSignatory(String)
  /// The signature is not 64 bytes.
  case malformed(bytes: Int)
  case timestampOutOfRange(String)
  /// In seconds; `distance` is negative for a timestamp in the future.
  case farFromNow(distance: Int64, allowed: Int)
  case badSignature

  public var description: String {
    switch self {
    case .ambiguous(let place): "the request can be read in two ways (\(place)); send each name once, in its exact form"
    case .missing: "the request has no signature; sign it"
    case .untrustedSigner(let address):
      "the signer \(Self.shortened(address)) is not trusted; add it to jobs.trusted_signers if it should be"
    case .invalidSignatory(let address):
      "the signer \(Self.shortened(address)) is not an ss58 address; sign with a Bittensor hotkey"
    case .malformed(let bytes):
      "the signature has \(bytes) bytes; an sr25519 signature has \(Signature.count)"
    case .timestampOutOfRange(let text):
      "the signature's timestamp \(Self.shortened(text)) does not fit 64 bits; send nanoseconds since 1970"
    case .farFromNow(let distance, let allowed):
      "the signature's timestamp is \(distance.magnitude) s \(distance < 0 ? "in the future" : "old"), and [jobs] "
        + "max_age_seconds allows \(allowed); sign anew, or set the clock"
    case .badSignature: "the signature is not the signer's over this request; sign what is sent"
    }
  }

  /// Whether the same text is refused again whenever it comes, as long as the same signers are trusted.
  public var isLasting: Bool { if case .farFromNow = self { false } else { true } }

  private static func shortened(_ text: String) -> String {
    String(reflecting: String(text.unicodeScalars.prefix(64)))
  }
}

/// A request that someone answers for with a signature.
public protocol SignedRequest: Sendable {
  /// What is there twice, or in another form than the signed one; nil when the text has one meaning for every reader.
  var ambiguity: SchemaViolation? { get }
  var signature: RequestSignature? { get }
  /// What is hashed behind the timestamp.
  var hashedPayload: [UInt8] { get }
}

extension SignedRequest {
  /// What `ambiguity` is for a message of which a schema has made `model`. The signature itself may be written in any
  /// form of base64: only its bytes matter, and they are verified.
  static func ambiguity(of message: JSONValue, _ model: JSONValue) -> SchemaViolation? {
    if let duplicate = message.duplicateName { return duplicate }
    guard case .object(let members) = message else { return nil }
    return JSONValue.object(members.filter { !sameText($0.name, "signature") }).difference(from: model)
  }

  /// The 64 bytes that are signed: BLAKE2b-512 of the timestamp in 8 big-endian bytes and the payload.
  public func digest(timestamp: UInt64) -> [UInt8] {
    let bytes = (0..<8).map { UInt8(truncatingIfNeeded: timestamp >> UInt64(56 - 8 * $0)) }
    return Blake2b.hash512(bytes, hashedPayload)
  }

  /// Checks that the text has one meaning for every reader: it is handed on as received.
  public func verifyReading() throws(VerificationError) {
    if let ambiguity { throw .ambiguous(ambiguity) }
  }

  /// Checks that the signature's timestamp is no further from now than that, before or after: what is older cannot be
  /// told from a replay any more. A request without a signature passes, which `verify` refuses.
  public func verifyAge(atMost seconds: Int, nowMilliseconds now: Int64) throws(VerificationError) {
    guard let timestamp = signature?.timestamp else { return }
    guard let nanoseconds = timestamp.uint64 else { throw .timestampOutOfRange(timestamp.text) }
    // 2^64 nanoseconds are fewer than 2^45 milliseconds, and a clock says no more.
    let distance = (now - Int64(nanoseconds / 1_000_000)) / 1000
    guard distance.magnitude <= UInt64(seconds) else { throw .farFromNow(distance: distance, allowed: seconds) }
  }

  /// Checks that a trusted signer signed this request, and that its text has one meaning. Whether the signer is trusted is
  /// looked at first, so that a stranger costs no curve arithmetic.
  public func verify(trusted: TrustedSigners) throws(VerificationError) {
    guard let signature else { throw .missing }
    guard trusted.contains(signature.signatory) else { throw .untrustedSigner(signature.signatory) }
    try verifyReading()
    try verifySignature()
  }

  /// Checks that whoever is named as the signer signed this request.
  public func verifySignature() throws(VerificationError) {
    guard let signature else { throw .missing }
    guard let timestamp = signature.timestamp.uint64 else {
      throw .timestampOutOfRange(signature.timestamp.text)
    }
    let key: PublicKey
    do { key = try PublicKey(ss58: signature.signatory) } catch {
      throw .invalidSignatory(signature.signatory)
    }
    let bytes: Signature
    do { bytes = try Signature(signature.bytes) } catch { throw .malformed(bytes: signature.bytes.count) }
    guard key.verify(signature: bytes, message: digest(timestamp: timestamp)) else { throw .badSignature }
  }
}
