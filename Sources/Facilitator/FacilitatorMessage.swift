import JSON

/// What a text frame from the facilitator is taken for.
public enum FacilitatorMessage: Sendable {
  case response(Response)
  /// With the frame itself: a job's command gets it exactly as received.
  case jobRequest(JobRequest, raw: [UInt8])
  case jobCheated(JobCheated, raw: [UInt8])
  /// It has the fields of a response and is none. The original takes it for unsupported; but whoever matches
  /// answers by their order must know that one came.
  case unreadableAnswer(reason: String)
  /// Anything else, with the reason in words for the log. The connection stays up.
  case unsupported(reason: String)

  /// The longest frame that is looked at: 16 MiB. Source: PROTOCOL.md, The facilitator's WebSocket.
  public static let byteLimit = 16 << 20

  /// How the original's facilitator, whose answers pydantic writes, says that all is well.
  private static let plainSuccess = Response(status: .success).frame

  /// Classifies a frame as the original would. Like the original, and unlike RFC 8259, it takes `NaN` and the
  /// infinities for numbers: a cheat report with one in its details can carry a good signature.
  public static func classify(_ frame: [UInt8]) -> FacilitatorMessage {
    // Nearly all that comes is this, byte for byte.
    if frame == plainSuccess { return .response(Response(status: .success)) }
    let value: JSONValue
    do {
      value = try JSONValue.parse(frame, limits: JSONLimits(bytes: byteLimit), nonFinite: true)
    } catch { return .unsupported(reason: "\(error)") }
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
