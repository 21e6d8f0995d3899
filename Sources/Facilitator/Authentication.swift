import Identity
import JSON

/// The first message on a connection: the validator proves which key is its own.
/// Source: PROTOCOL.md, The facilitator's WebSocket.
public struct AuthenticationRequest: Sendable, Hashable {
  static let messageType = "V0AuthenticationRequest"

  /// The key, which tells the facilitator which validator this is.
  public var publicKey: PublicKey
  /// Over the 32 bytes of the key.
  public var signature: Signature

  private static let schema = Schema.model(
    Schema.Model(
      [
        .standard("message_type", .literal(messageType), .string(messageType)),
        .required("public_key", .string),
        .required("signature", .string),
      ], extra: .refused))

  /// Takes both as they are; whether they fit is `isVerified`.
  public init(publicKey: PublicKey, signature: Signature) {
    self.publicKey = publicKey
    self.signature = signature
  }

  /// The request of this hotkey, signed anew.
  ///
  /// - Throws: what `Hotkey.sign` throws, above all that the hotkey has no secret.
  public init(signedBy hotkey: Hotkey) throws(IdentityError) {
    self.init(publicKey: hotkey.publicKey, signature: try hotkey.sign(hotkey.publicKey.bytes))
  }

  /// The request in a frame, as a facilitator reads it: the key in hexadecimal without `0x`, the signature with.
  ///
  /// - Throws: `AuthenticationError`.
  public init(frame: [UInt8]) throws(AuthenticationError) {
    let value: JSONValue
    do { value = try JSONValue.parse(frame, limits: JSONLimits(bytes: 4096)) } catch {
      throw .notJSON(error)
    }
    let model: JSONValue
    do { model = try Self.schema.validate(value) } catch { throw .invalid(error) }
    do {
      publicKey = try PublicKey(hex: model["public_key"]?.stringValue ?? "", prefix: .forbidden)
    } catch { throw .malformedKey(error) }
    do {
      signature = try Signature(hex: model["signature"]?.stringValue ?? "", prefix: .required)
    } catch { throw .malformedSignature(error) }
  }

  /// Whether the key's owner made the signature.
  public var isVerified: Bool { publicKey.verify(signature: signature, message: publicKey.bytes) }

  /// The request's frame, byte for byte as the original would send it.
  public var frame: [UInt8] {
    Array(
      """
      {"message_type":"\(Self.messageType)","public_key":"\(publicKey.hex)","signature":"0x\(signature.hex)"}
      """.utf8)
  }
}

/// Why a frame is no authentication request.
public enum AuthenticationError: Error, Equatable, CustomStringConvertible {
  case notJSON(JSONError)
  case invalid(SchemaViolation)
  case malformedKey(IdentityError)
  case malformedSignature(IdentityError)

  public var description: String {
    switch self {
    case .notJSON(let error): "the authentication request is \(error)"
    case .invalid(let violation): "the authentication request does not fit: \(violation)"
    case .malformedKey(let error): "the authentication request's public_key: \(error)"
    case .malformedSignature(let error): "the authentication request's signature: \(error)"
    }
  }
}

/// The frame that keeps a connection alive.
public enum Heartbeat {
  /// The frame, byte for byte as the original would send it.
  public static let frame = Array(#"{"message_type":"V0Heartbeat"}"#.utf8)
}
