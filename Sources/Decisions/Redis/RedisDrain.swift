/// How much has been read, since its job's command ended, of what was sent through Redis before.
///
/// Whoever sends without end does not withhold the exit: after a second it is told, behind as much as no job reports. Time
/// alone says too little, since a slow disk holds up a few updates for as long.
struct RedisDrain: Sendable {
  static let time = Duration.seconds(1)
  /// A job has a dozen statuses.
  static let messages = 1000
  /// As many of the largest messages as well.
  static let largest = 16

  private let began: Instant
  private(set) var messages = 0
  private var bytes = 0
  /// Of the core layer: whether the server was asked to set aside what it had. That alone is read.
  var hasSetAside = false

  init(at now: Instant) { began = now }

  mutating func read(_ count: Int = 1, bytes: Int) {
    messages += count
    self.bytes += bytes
  }

  /// Whether no more is read before the exit is told.
  ///
  /// - Parameter longestMessage: in bytes.
  func isEnough(longestMessage: Int, at now: Instant) -> Bool {
    now - began >= Self.time && (messages >= Self.messages || bytes >= Self.largest * longestMessage)
  }
}
