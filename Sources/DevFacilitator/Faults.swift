/// What the facilitator is made to do wrong, and how often still.
struct Faults: Sendable, Equatable {
  /// An error to answer status updates with instead of keeping them.
  struct AnswerError: Sendable, Equatable {
    var type: String
    /// How many updates still.
    var count: Int
  }

  /// How it takes no update at all, although it authenticates.
  enum Illness: String, Sendable, CaseIterable {
    /// Drops the connection at each update, as when its database can only be read.
    case drops
    /// Closes it in order instead.
    case closes
    /// Answers what is no answer.
    case garbles
  }

  /// The highest count a fault takes.
  static let countLimit = 1_000_000_000
  /// The longest delay, in milliseconds: a day, which nothing waits for.
  static let delayLimit = 86_400_000

  /// Accepted rows until a connection is dropped behind the answer; 0 for never.
  var dropAfter = 0
  /// Accepted rows until a connection is dropped in place of the answer; 0 for never.
  var dropBeforeAnswer = 0
  var answerError: AnswerError?
  /// Between the arrival of a message and its answer, in milliseconds; rows are kept at once.
  var delay = 0
  /// With this code the next connection is closed as soon as it is authenticated.
  var closeCode: UInt16?
  /// Whether nothing but the authentication is answered.
  var neverAnswers = false
  /// nil: it takes updates.
  var illness: Illness?

  /// What an accepted row sets off.
  enum RowFault: Sendable, Equatable {
    case none
    case dropInPlaceOfAnswer
    case dropAfterAnswer
  }

  /// Counts an accepted row. When both faults fall due with it, the answer is left out.
  mutating func rowAccepted() -> RowFault {
    let isBefore = Self.falls(&dropBeforeAnswer)
    let isAfter = Self.falls(&dropAfter)
    return isBefore ? .dropInPlaceOfAnswer : isAfter ? .dropAfterAnswer : .none
  }

  /// The error that the next update gets, counted down; nil for none.
  mutating func nextAnswerError() -> String? {
    guard let error = answerError, error.count > 0 else { return nil }
    answerError = error.count > 1 ? AnswerError(type: error.type, count: error.count - 1) : nil
    return error.type
  }

  private static func falls(_ counter: inout Int) -> Bool {
    guard counter > 0 else { return false }
    counter -= 1
    return counter == 0
  }
}
