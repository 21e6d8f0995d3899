import Decisions
import MessagePack
import Messages
import Platform
import StatusUpdates

/// One worker's connection.
final class Worker {
  let id: ConnectionID
  let connection: FrameConnection
  /// Not read from for now: too much of what it sent is unanswered.
  var paused = false
  /// Nothing more can be read from it.
  var finishedReading = false
  /// Everything it had sent when this was last looked at has been read.
  var isEmpty = false

  init(id: ConnectionID, connection: FrameConnection) {
    self.id = id
    self.connection = connection
  }

  /// The next request among the bytes that have been read; nil when no frame is whole.
  /// - Parameter job: nil for the channel of machine specs.
  func nextRequest(job: JobID?, limit: Int) throws(FrameConnection.Failure) -> WorkerRequest? {
    do {
      return try connection.nextBody().map { Self.request($0, job: job) }
    } catch {
      guard case .frame(.tooLarge(let declared, _)) = error else { throw error }
      // Text that is no frame at all declares a length of a gigabyte; no worker of ours is that far off.
      guard declared <= 4 * limit else {
        return WorkerRequest(
          id: nil,
          content: .wrong(
            .malformed, "a frame of \(declared) bytes is announced: this is not the worker's protocol",
            closes: true))
      }
      connection.skip(declared: declared)
      return WorkerRequest(
        id: nil,
        content: .wrong(
          .tooLarge, "the frame has \(declared) bytes; max_frame_bytes is \(limit)", closes: false))
    }
  }

  private static func request(_ body: ArraySlice<UInt8>, job: JobID?) -> WorkerRequest {
    let message: MessagePackValue
    do {
      message = try MessagePackValue.decode(body)
    } catch {
      return WorkerRequest(
        id: nil, content: .wrong(.malformed, "the frame is not MessagePack: \(error)", closes: false))
    }
    guard case .map = message else {
      return WorkerRequest(
        id: nil, content: .wrong(.malformed, "the frame's value is not a map", closes: false))
    }
    return WorkerRequest(id: message["id"], content: content(message, job: job))
  }

  private static func content(_ message: MessagePackValue, job: JobID?) -> WorkerRequest.Content {
    do throws(InvalidUpdate) {
      guard let job else { return .specs(try MachineSpecs(message)) }
      let update = try StatusUpdateEnvelope.validate(message, expecting: job)
      return .update(update.status, metadata: update.metadataJSON)
    } catch {
      return .wrong(WorkerErrorCode(rawValue: error.code) ?? .invalid, error.description, closes: false)
    }
  }

  static func frame(_ answer: WorkerAnswer, id: MessagePackValue?) -> [UInt8] {
    var pairs: [MessagePackPair] = []
    if let id { pairs.append(MessagePackPair(.string("id"), id)) }
    switch answer {
    case .stored: pairs.append(MessagePackPair(.string("ok"), .bool(true)))
    case .error(let code, let text):
      pairs.append(MessagePackPair(.string("ok"), .bool(false)))
      pairs.append(
        MessagePackPair(
          .string("error"),
          .map([
            MessagePackPair(.string("code"), .string(code.rawValue)),
            MessagePackPair(.string("message"), .string(text)),
          ])))
    }
    var encoder = MessagePackEncoder()
    encoder.value(.map(pairs))
    return encoder.framedBytes
  }
}
