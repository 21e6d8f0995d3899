import MessagePack
import Messages
import StatusUpdates

extension StatusUpdateEnvelope {
  /// The update in a message that is not encoded yet.
  public static func validate(_ message: MessagePackValue, expecting job: JobID?) throws(InvalidUpdate) -> StatusUpdate
  {
    var encoder = MessagePackEncoder()
    encoder.value(message)
    var result: Result<StatusUpdate, InvalidUpdate>?
    do {
      try MessagePackView.decode(encoder.bytes[...]) { view in
        do throws(InvalidUpdate) { result = .success(try validate(view, expecting: job)) } catch {
          result = .failure(error)
        }
      }
    } catch {
      preconditionFailure("what was encoded here cannot be decoded: \(error)")
    }
    guard let result else { preconditionFailure("what was decoded was not looked at") }
    return try result.get()
  }
}
