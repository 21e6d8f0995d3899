import Messages

/// How far the record has been read, of what waits in it for the facilitator.
struct Backlog: Sendable {
  /// The last update that is in memory or was; what is behind it is in the record only.
  var readUpTo = UpdateID(0)
  var hasMore = true
  var isLoading = false
  /// Updates before that were put out of memory: their jobs' later ones are passed over, and all of it is read anew
  /// once the end has been reached.
  var hasGaps = false
  /// When the oldest of those was stored.
  var oldestAside: WallTime?
  /// The last update that could have been read when more was asked for.
  var askedUpTo = UpdateID(0)
  /// Not before this time is more put out of memory, or is it read anew.
  var turnsOverAt: Instant?
  /// It is to be read anew once nothing is in flight.
  var isEnding = false
}

// Updates that wait in the record.
extension UplinkCore {
  /// How long what has failed stays in memory when there is more in the record, and how long until what was put out of
  /// it is read again: nothing that fails keeps out what is behind it, and nothing is tried all the time.
  static let turnover = Duration.seconds(10)
  static let rereading = Duration.seconds(60)

  mutating func loadMore(at now: Instant) {
    readAnew(at: now)
    guard backlog.hasMore, !backlog.isLoading, !backlog.isEnding else { return }
    makeRoom(at: now)
    guard outbox.count < Self.pageSize / 2, outbox.bytes < Self.pageBytes else { return }
    backlog.isLoading = true
    backlog.askedUpTo = UpdateID(nextUpdate.number - 1)
    actions.append(.load(after: backlog.readUpTo, limit: Self.pageSize, passingOver: backlog.hasGaps))
  }

  mutating func loaded(_ entries: [OutboxEntry], more: Bool, at now: Instant) {
    backlog.isLoading = false
    backlog.hasMore = more
    for var entry in entries {
      backlog.readUpTo = max(backlog.readUpTo, entry.id)
      if entry.id < firstOfOurs { entry.outcomeUnknown = true }
      outbox.enqueue(entry)
    }
    // Updates that were passed over are behind us too.
    if backlog.hasGaps, !more { backlog.readUpTo = max(backlog.readUpTo, backlog.askedUpTo) }
    loadMore(at: now)
  }

  /// Everything in memory has failed, and there is more in the record: half of it makes room.
  private mutating func makeRoom(at now: Instant) {
    guard outbox.count >= Self.pageSize / 2 || outbox.bytes >= Self.pageBytes, outbox.isStuck,
      backlog.turnsOverAt.map({ $0 <= now }) ?? true
    else { return }
    let oldest = outbox.setAside()
    backlog.oldestAside = [backlog.oldestAside, oldest].compactMap(\.self).min()
    backlog.hasGaps = true
    firstOfOurs = nextUpdate
    backlog.turnsOverAt = now + Self.turnover
  }

  /// The end is reached, and what was put out of memory is behind us: the record is read from its beginning, as after a
  /// start. What is in flight is waited for, since it cannot be put out.
  private mutating func readAnew(at now: Instant) {
    guard backlog.hasGaps, !backlog.isLoading else { return }
    if !backlog.hasMore, backlog.turnsOverAt.map({ $0 + (Self.rereading - Self.turnover) <= now }) ?? true {
      backlog.isEnding = true
    }
    guard backlog.isEnding, outbox.storedInFlight == 0 else { return }
    outbox.forget()
    backlog = Backlog()
    // Updates that are read again may have been sent: an answer may be lost.
    firstOfOurs = nextUpdate
  }
}
