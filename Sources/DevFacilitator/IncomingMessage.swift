import Facilitator
import Identity
import JSON
import StatusUpdates

/// What a facilitator takes a validator's text frame for. Source: PROTOCOL.md, The facilitator's WebSocket.
enum IncomingMessage: Sendable {
  case authentication(Claim)
  case heartbeat
  case machineSpecs
  case statusUpdate(StatusUpdate)
  /// A status update that fits, about a uuid that is not a UUID.
  case updateOfNoJob(uuid: String, status: String)

  /// Who the validator says it is.
  enum Claim: Sendable {
    case request(AuthenticationRequest)
    /// Not the hexadecimal of 32 bytes.
    case malformedKey(IdentityError)
    /// Not `0x` and the hexadecimal of 64 bytes.
    case malformedSignature(of: PublicKey, IdentityError)
  }

  /// The longest frame in bytes: 64 MiB.
  static let byteLimit = 64 << 20

  /// The names by which messages are told apart.
  private enum Kind: String {
    case authentication = "V0AuthenticationRequest"
    case heartbeat = "V0Heartbeat"
    case machineSpecs = "V0MachineSpecsUpdate"
    case statusUpdate = "V0JobStatusUpdate"
  }

  private static let heartbeatSchema = Schema.model(
    Schema.Model([.required("message_type", .literal(Kind.heartbeat.rawValue))], extra: .refused))

  private static let machineSpecsSchema = Schema.model(
    Schema.Model(
      [
        .required("message_type", .literal(Kind.machineSpecs.rawValue)),
        .required("miner_hotkey", .string),
        .required("validator_hotkey", .string),
        .required("specs", .map(.any)),
        .required("batch_id", .string),
      ], extra: .refused))

  /// Reads a frame as the original would; like it, and unlike RFC 8259, it takes `NaN` and the infinities for numbers.
  init(frame: [UInt8]) throws(Unparsable) {
    let value: JSONValue
    do {
      value = try JSONValue.parse(frame, limits: JSONLimits(bytes: Self.byteLimit), nonFinite: true)
    } catch { throw Unparsable(type: "json_invalid", message: "\(error)") }
    switch try Self.kind(of: value) {
    case .authentication: self = .authentication(try Self.claim(value, frame))
    case .heartbeat:
      try Self.check(value, Self.heartbeatSchema)
      self = .heartbeat
    case .machineSpecs:
      try Self.check(value, Self.machineSpecsSchema)
      self = .machineSpecs
    case .statusUpdate: self = try Self.update(value)
    }
  }

  private static func kind(of value: JSONValue) throws(Unparsable) -> Kind {
    guard case .object = value else {
      throw Unparsable(type: "model_attributes_type", message: "the message is not an object")
    }
    guard let name = value["message_type"] else {
      throw Unparsable(type: "union_tag_not_found", message: "the message has no message_type")
    }
    guard let kind = name.stringValue.flatMap({ Kind(rawValue: $0) }) else {
      throw Unparsable(
        type: "union_tag_invalid", message: "message_type is not one that a facilitator is sent")
    }
    return kind
  }

  private static func check(_ value: JSONValue, _ schema: Schema) throws(Unparsable) {
    do { _ = try schema.validate(value) } catch { throw Unparsable(error) }
  }

  private static func claim(_ value: JSONValue, _ frame: [UInt8]) throws(Unparsable) -> Claim {
    do { return .request(try AuthenticationRequest(frame: frame)) } catch {
      switch error {
      case .notJSON(let error): throw Unparsable(type: "json_invalid", message: "\(error)")
      case .invalid(let violation): throw Unparsable(violation)
      case .malformedKey(let error): return .malformedKey(error)
      case .malformedSignature(let signatureError):
        // The error names the signature alone, and whose it should be is looked at first.
        let hex = value["public_key"]?.stringValue ?? ""
        do {
          return .malformedSignature(of: try PublicKey(hex: hex, prefix: .forbidden), signatureError)
        } catch { return .malformedKey(error) }
      }
    }
  }

  private static func update(_ value: JSONValue) throws(Unparsable) -> IncomingMessage {
    do { return .statusUpdate(try StatusUpdateFrame.decode(value)) } catch {
      switch error {
      case .invalid(let violation): throw Unparsable(violation)
      case .wrongJob(let uuid):
        return .updateOfNoJob(uuid: uuid, status: value["status"]?.stringValue ?? "unknown")
      }
    }
  }
}

/// Why a frame is none of the messages, in pydantic's terms.
struct Unparsable: Error, Equatable {
  /// Such as `json_invalid`, `union_tag_invalid`, `missing`.
  var type: String
  /// What does not fit, in words.
  var message: String

  init(type: String, message: String) {
    self.type = type
    self.message = message
  }

  init(_ violation: SchemaViolation) {
    self.init(type: violation.type, message: "\(violation)")
  }
}
