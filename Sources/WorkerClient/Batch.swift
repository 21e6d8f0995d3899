import MessagePack

/// Updates that were sent together, and what has been answered of them so far.
struct Batch {
  /// The id in the first frame; each further one is one higher.
  let firstID: Int64
  /// When the patience with the service is over; it begins anew with each answer.
  var deadline: Deadline
  var frames: [[UInt8]] = []
  var answers: [WorkerClient.Answer] = []

  init(firstID: Int64, deadline: Deadline) {
    self.firstID = firstID
    self.deadline = deadline
  }

  var isComplete: Bool { answers.count == frames.count }

  /// Takes one answer in. Answers come in the order of what was sent.
  ///
  /// - Parameter sent: how many of the frames have been sent on some connection.
  /// - Returns: what is wrong with it, if it is no answer to the oldest update without one.
  mutating func take(_ body: ArraySlice<UInt8>, sent: Int) -> String? {
    let answer: MessagePackValue
    do throws(MessagePackError) {
      answer = try MessagePackValue.decode(body)
    } catch {
      return "an answer of \(body.count) bytes is not MessagePack: \(error)"
    }
    guard answers.count < sent else { return "an answer came to nothing that was sent" }
    // What the service could not read has no id there either.
    let expected = MessagePackValue.int(firstID + Int64(answers.count))
    if let id = answer["id"], id != expected, id != .null {
      return "an answer to another update than the oldest one without an answer"
    }
    switch answer["ok"] {
    case .bool(true): answers.append(.stored)
    case .bool(false):
      guard let error = answer["error"], case .string(let code) = error["code"],
        case .string(let message) = error["message"]
      else { return "an answer that refuses and does not say why" }
      answers.append(.refused(WorkerClient.Refusal(code: code, message: message)))
    default: return "an answer that says neither that the update is stored nor that it is not"
    }
    return nil
  }
}
