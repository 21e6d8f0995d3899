import Decisions
import MessagePack
import Messages
import Platform

/// One worker's connection.
final class Worker {
  let id: ConnectionID
  let connection: FrameConnection
  /// Not read from for now: too much of what it sent is unanswered.
  var paused = false
  /// Not read from for now: frames that are not whole take all they may.
  var starved = false
  /// Not read from for now: it has not taken the answers that it has.
  var stuffed = false
  /// Not read from for now: the loop's turn ended before all that it had sent was looked at.
  var waits = false
  /// Nothing more can be read from it.
  var finishedReading = false
  /// It takes no answers any more. What it has sent is read all the same.
  var isDeaf = false
  /// Answers were written to it that have not been flushed yet.
  var isWritten = false
  /// How much it had sent, from its first byte on, when the drain began.
  var owedUntil = 0

  /// Whether every frame that it had sent before the drain began has been handed over. As long as it is paused, is stuffed
  /// or waits, whole ones may be left among what was read.
  var isDrained: Bool {
    let read = connection.bytesRead
    return finishedReading || read - connection.unfinishedBytes >= owedUntil || isTakenFrom && read >= owedUntil
  }

  /// Has the drain read what it has sent by now.
  func owe() throws(SystemError) { owedUntil = connection.bytesRead + (try UnixSocket.unreadBytes(connection.socket)) }

  /// Whether what it sends is read now.
  var isRead: Bool { isTakenFrom && !starved && !finishedReading }

  /// Whether its whole frames are handed over as soon as they are read.
  private var isTakenFrom: Bool { !paused && !stuffed && !waits }

  init(id: ConnectionID, connection: FrameConnection) {
    self.id = id
    self.connection = connection
  }

  /// The next request among the bytes that have been read; nil when no frame is whole.
  /// - Parameter job: nil for the channel of machine specs.
  func nextRequest(job: JobID?, limit: Int) throws(FrameConnection.Failure) -> WorkerRequest? {
    do {
      return try connection.nextBody().map { WorkerRequest($0, job: job, limit: limit) }
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

  /// What came through Redis, which carries no id and no length of its own.
  /// - Parameter id: by which its answer is known.
  static func request(_ body: ArraySlice<UInt8>, id: MessagePackValue, job: JobID?, limit: Int) -> WorkerRequest {
    var request =
      body.count <= limit
      ? WorkerRequest(body, job: job, limit: limit)
      : WorkerRequest(
        id: nil,
        content: .wrong(.tooLarge, "it has \(body.count) bytes; max_frame_bytes is \(limit)", closes: false))
    request.id = id
    return request
  }

  static func frame(_ answer: WorkerAnswer, id: MessagePackValue?) -> [UInt8] {
    var encoder = MessagePackEncoder()
    encoder.map(count: (id == nil ? 0 : 1) + (answer == .stored ? 1 : 2))
    if let id {
      encoder.string("id")
      encoder.value(id)
    }
    encoder.string("ok")
    switch answer {
    case .stored: encoder.bool(true)
    case .error(let code, let text):
      encoder.bool(false)
      encoder.string("error")
      encoder.map(count: 2)
      encoder.string("code")
      encoder.string(code.rawValue)
      encoder.string("message")
      encoder.string(text)
    }
    return encoder.framedBytes
  }
}
