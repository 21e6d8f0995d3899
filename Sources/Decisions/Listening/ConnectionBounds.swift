/// How much of a Listener its workers' connections may hold, and for how long.
///
/// A frame that is not whole takes memory, and a connection takes a place: both are bounded over all connections, so that
/// none keeps the others from being heard. Pure; the loop tells what it has read and asks what follows.
public struct ConnectionBounds: Sendable {
  /// How long a frame may take from its first byte to its last, the time left out in which it was not read.
  public static let frameTime = Duration.seconds(60)
  /// How long a connection must have been silent, and everything on it answered, before it gives way to another when as
  /// many are open as may be. A worker that had it connects again, as after any loss.
  public static let idleTime = Duration.seconds(60)
  /// How long a worker may take nothing of the answers that wait for it before its connection is closed.
  public static let answerTime = frameTime

  private struct Connection: Sendable {
    var heardAt: Instant
    /// Bytes of a frame that is not whole.
    var held = 0
    /// When the first of them came.
    var began: Instant
    /// From when its time counts; nil while it is not read.
    var countedSince: Instant?
    var isRead = true
    var unanswered = 0
    /// Bytes of answers that it has not taken.
    var unread = 0
    /// Since when it has taken nothing of them; nil while there are none.
    var stuckSince: Instant?
  }

  /// What all frames that are not whole may take together, in bytes.
  private let budget: Int
  private var connections = ByConnection<Connection>()
  private var held = 0

  /// - Parameter frame: the largest frame, in bytes: parts of others may take as much together.
  public init(frame: Int) { budget = max(frame, Self.smallestBudget) }

  /// Small frames do not have to wait for each other, in bytes.
  private static let smallestBudget = 1 << 20

  public mutating func opened(_ id: ConnectionID, at now: Instant) {
    connections[id] = Connection(heardAt: now, began: now)
  }

  public mutating func closed(_ id: ConnectionID) {
    held -= connections[id]?.held ?? 0
    connections[id] = nil
  }

  /// It was read from.
  /// - Parameters:
  ///   - bytes: what it now holds of a frame that is not whole.
  ///   - isAnother: whether that frame is not the one of the last time.
  public mutating func heard(_ id: ConnectionID, unfinished bytes: Int, isAnother: Bool, at now: Instant) {
    let before = connections.change(id) { connection in
      connection.heardAt = now
      if connection.held == 0 || isAnother {
        connection.began = now
        connection.countedSince = connection.isRead ? now : nil
      }
      if bytes == 0 { connection.countedSince = nil }
      defer { connection.held = bytes }
      return connection.held
    }
    if let before { held += bytes - before }
  }

  /// A request of it waits for its answer.
  public mutating func asked(_ id: ConnectionID) { connections.change(id) { $0.unanswered += 1 } }

  /// One of its requests is answered.
  public mutating func answered(_ id: ConnectionID, at now: Instant) {
    connections.change(id) { connection in
      connection.unanswered -= 1
      connection.heardAt = now
    }
  }

  /// It was written to.
  /// - Parameter bytes: what it has not taken of its answers.
  public mutating func answersWait(_ id: ConnectionID, unread bytes: Int, at now: Instant) {
    connections.change(id) { connection in
      if bytes == 0 {
        connection.stuckSince = nil
      } else if connection.stuckSince == nil || bytes < connection.unread {
        connection.stuckSince = now
      }
      connection.unread = bytes
    }
  }

  /// Connections whose worker has taken nothing of its answers for too long.
  public func stuck(at now: Instant) -> [ConnectionID] {
    connections.ids { $0.stuckSince.map { now - $0 >= Self.answerTime } ?? false }
  }

  /// Whether the loop reads from it now.
  public mutating func reads(_ id: ConnectionID, _ isRead: Bool, at now: Instant) {
    connections.change(id) { connection in
      guard connection.isRead != isRead else { return }
      connection.isRead = isRead
      connection.countedSince = isRead && connection.held > 0 ? now : nil
    }
  }

  /// Whether frames that are not whole take all they may: then only `foremost`, and whoever has none, is read from.
  public var isFull: Bool { held >= budget }

  /// The connection whose frame began first, of those in `readable`: it must be able to end.
  public func foremost(of readable: some Sequence<ConnectionID>) -> ConnectionID? {
    readable.filter { holdsPart($0) }.min { left, right in
      (began(left), left) < (began(right), right)
    }
  }

  private func began(_ id: ConnectionID) -> Int64 { connections[id]?.began.nanoseconds ?? 0 }

  /// Whether it has sent part of a frame.
  public func holdsPart(_ id: ConnectionID) -> Bool { (connections[id]?.held ?? 0) > 0 }

  /// Connections whose frame has had its time.
  public func overdue(at now: Instant) -> [ConnectionID] {
    connections.ids { $0.countedSince.map { now - $0 >= Self.frameTime } ?? false }
  }

  /// The connection that is silent for longest, if that is long enough for it to give way.
  public func idlest(at now: Instant) -> ConnectionID? {
    guard let idlest = longestSilent, now - heardAt(idlest) >= Self.idleTime else { return nil }
    return idlest
  }

  /// Whether every request on it is answered.
  public func isAnswered(_ id: ConnectionID) -> Bool { connections[id]?.unanswered == 0 }

  /// When `idlest` has an answer; nil while nobody is silent.
  public var nextIdle: Instant? { longestSilent.map { heardAt($0) + Self.idleTime } }

  private var longestSilent: ConnectionID? {
    connections.ids { $0.held == 0 && $0.unanswered == 0 }
      .min { (heardAt($0).nanoseconds, $0) < (heardAt($1).nanoseconds, $1) }
  }

  private func heardAt(_ id: ConnectionID) -> Instant { connections[id]?.heardAt ?? Instant(nanoseconds: 0) }

  /// When the next is overdue.
  public var nextDeadline: Instant? {
    // Both have the same time.
    connections.earliest { .earlier($0.countedSince, $0.stuckSince) }.map { $0 + Self.frameTime }
  }
}
