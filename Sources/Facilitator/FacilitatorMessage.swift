import JSON
import Messages

/// What a text frame from the facilitator is taken for.
public enum FacilitatorMessage: Sendable {
  case response(Response)
  /// With the frame itself: a job's command gets it exactly as received.
  case jobRequest(JobRequest, raw: [UInt8])
  case jobCheated(JobCheated, raw: [UInt8])
  /// It may have been a response, and cannot be read as one: it has the fields of one, or is no JSON and names no
  /// `message_type`. The original takes it for unsupported; but whoever matches answers by their order must know that one
  /// may have come.
  case unreadableAnswer(reason: String)
  /// Anything else, with the reason in words for the log. The connection stays up.
  case unsupported(reason: String)

  /// The longest frame that is looked at: 16 MiB. Source: PROTOCOL.md, The facilitator's WebSocket.
  public static let byteLimit = 16 << 20

  /// How the original's facilitator, whose answers pydantic writes, says that all is well.
  private static let plainSuccess = Response(status: .success).frame

  /// Whether a frame is that, byte for byte, as nearly all that come are.
  public static func isPlainSuccess(_ frame: [UInt8]) -> Bool { frame == plainSuccess }

  /// Classifies a frame as the original would. Like the original, and unlike RFC 8259, it takes `NaN` and the
  /// infinities for numbers: a cheat report with one in its details can carry a good signature.
  ///
  /// - Parameter values: how many values there may be in it; see `JSONLimits`.
  public static func classify(_ frame: [UInt8], values: Int = 1 << 20) -> FacilitatorMessage {
    if isPlainSuccess(frame) { return .response(Response(status: .success)) }
    let value: JSONValue
    do {
      value = try JSONValue.parse(frame, limits: JSONLimits(bytes: byteLimit, values: values), nonFinite: true)
    } catch {
      return MessageBeginning(frame) == .mayBeAnswer
        ? .unreadableAnswer(reason: "\(error)") : .unsupported(reason: "\(error)")
    }
    let looksLikeAnswer = value["message_type"] == nil && (value["status"] != nil || value["errors"] != nil)
    do {
      switch value["message_type"] {
      case nil: return .response(try Response(value))
      case .string(JobRequest.messageType): return .jobRequest(try JobRequest(value), raw: frame)
      case .string(JobCheated.messageType): return .jobCheated(try JobCheated(value), raw: frame)
      default: return .unsupported(reason: "message_type: not one that a validator is sent")
      }
    } catch { return looksLikeAnswer ? .unreadableAnswer(reason: "\(error)") : .unsupported(reason: "\(error)") }
  }
}

/// What a frame is by its beginning, where the whole cannot be read.
public enum MessageBeginning: Sendable, Hashable {
  /// A request for a job.
  case jobRequest(JobID)
  /// No `message_type` is there, which answers alone do without: see `FacilitatorMessage.unreadableAnswer`.
  case mayBeAnswer
  case other

  /// How much is looked at, in bytes: whoever writes the fields in the model's order has named the job by then.
  public static let looked = 65_536

  /// Looks at the frame's first fields.
  public init(_ frame: [UInt8]) {
    let looked = Array(frame.prefix(Self.looked))
    let fields = JSONValue.object(JSONValue.members(atBeginningOf: looked, limits: JSONLimits(bytes: Self.looked)))
    switch fields["message_type"] {
    case .string(JobRequest.messageType):
      self =
        fields.hasOnce("uuid") ? JobID(fields["uuid"]?.stringValue ?? "").map { .jobRequest($0) } ?? .other : .other
    case nil: self = .mayBeAnswer
    default: self = .other
    }
  }
}
