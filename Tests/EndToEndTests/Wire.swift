import MessagePack
import Messages
import WorkerClient

/// The worker's protocol by hand.
enum Wire {
  /// Sends frames and gives the answers to them; nil stands for the end of the connection.
  static func exchange(_ path: String, _ frames: [[UInt8]]) throws -> [MessagePackValue?] {
    let connection = try WaitingConnection(connectingTo: path, limit: 1 << 20)
    for frame in frames { connection.send(frame) }
    var answers: [MessagePackValue?] = []
    let deadline = Deadline.after(milliseconds: 10_000)
    while answers.count < frames.count, deadline.millisecondsLeft > 0 {
      if let body = try connection.nextBody() {
        answers.append(try MessagePackValue.decode(body))
      } else if connection.atEnd {
        answers.append(nil)
        break
      } else {
        _ = try connection.turn(until: deadline)
      }
    }
    return answers
  }

  static func frame(_ value: MessagePackValue) -> [UInt8] {
    var encoder = MessagePackEncoder()
    encoder.value(value)
    return encoder.framedBytes
  }

  static func map(_ pairs: [(String, MessagePackValue)]) -> MessagePackValue {
    .map(pairs.map { MessagePackPair(.string($0.0), $0.1) })
  }

  static func code(_ answer: MessagePackValue?) -> String? {
    guard case .string(let code) = answer?["error"]?["code"] else { return nil }
    return code
  }
}
