import Messages

/// A person's wish about dead letters.
public struct DeadLetterRequest: Sendable, Hashable {
  /// Of the question that is answered with the outcome.
  public var question: UInt64
  public var letters: [UpdateID]
  /// Forget them, rather than send them again.
  public var drop: Bool
}

/// A dead letter as the record has it.
public struct FoundDeadLetter: Sendable, Hashable {
  public var entry: OutboxEntry
  /// The facilitator has its job's terminal status, or may have it, and nothing may go behind that: one that waits may
  /// have been sent, by this Uplink or an earlier one, and its answer lost. One that was refused for good it has not.
  public var isTooLate: Bool

  public init(entry: OutboxEntry, isTooLate: Bool) {
    self.entry = entry
    self.isTooLate = isTooLate
  }
}

// What was given up on: sent again, or forgotten.
extension UplinkCore {
  mutating func lookUpDead(_ question: UInt64, _ letters: [Int], drop: Bool) {
    let known = letters.prefix(DeadLetter.page).map { UpdateID(Int64($0)) }
    actions.append(.lookUpDead(DeadLetterRequest(question: question, letters: known, drop: drop)))
  }

  mutating func deadFound(_ request: DeadLetterRequest, _ found: [FoundDeadLetter], at now: Moment) {
    var refusals: [DeadLetterRefusal] = []
    var entries: [OutboxEntry] = []
    let byID = Dictionary(found.map { ($0.entry.id, $0) }, uniquingKeysWith: { first, _ in first })
    for id in request.letters {
      let isTooLate = byID[id].map { $0.isTooLate || terminalIsOnItsWay($0.entry) } ?? false
      if let letter = byID[id], !settling.contains(id), request.drop || !isTooLate {
        settling.insert(id)
        entries.append(letter.entry)
      } else {
        let why =
          isTooLate && !settling.contains(id)
          ? "its job's terminal status is accepted or on its way, and nothing may follow that"
          : "there is no such dead letter"
        refusals.append(DeadLetterRefusal(id: Int(id.number), reason: why))
      }
    }
    if request.drop {
      for entry in entries {
        dead -= 1
        giveBack(room: entry)
        log(.warning, .updateDead, "the dead letter \(entry.status.name) is dropped by hand", job: entry.job)
      }
      commit(
        entries.map { .dropDead($0.id, at: now.wall) },
        then: .droppedDead(request.question, entries.map(\.id), refusals))
    } else {
      commit(entries.map { .revive($0.id) }, then: .revived(request.question, entries, refusals))
    }
  }

  /// Whether its job's terminal status is being written, so that the record did not have it when it was looked at.
  private func terminalIsOnItsWay(_ entry: OutboxEntry) -> Bool {
    guard !entry.status.isTerminal, let job = jobs[entry.job] else { return false }
    return job.hasTerminal && !job.uncommitted.isEmpty
  }

  mutating func revived(
    _ question: UInt64, _ entries: [OutboxEntry], _ refusals: [DeadLetterRefusal], at now: Moment
  ) {
    var refusals = refusals
    var done = 0
    for entry in entries {
      settling.remove(entry.id)
      // What is not read from the record yet is read with it in its turn.
      if entry.id > loadedUpTo {
        recordHasMore = true
      } else if !outbox.putBack(entry) {
        let why = "its job's terminal status is on its way"
        refusals.append(DeadLetterRefusal(id: Int(entry.id.number), reason: why))
        commit([.bury(entry.id, attempts: entry.attempts, error: why, at: now.wall)], then: .nothing)
        continue
      }
      dead -= 1
      queued += 1
      done += 1
      log(.notice, .updateRetried, "the dead letter \(entry.status.name) is sent again by hand", job: entry.job)
    }
    actions.append(
      .toSupervisor(.report(question, UplinkReport(state: state(at: now), done: done, refusals: refusals))))
  }

  mutating func droppedDead(
    _ question: UInt64, _ letters: [UpdateID], _ refusals: [DeadLetterRefusal], at now: Moment
  ) {
    settling.subtract(letters)
    actions.append(
      .toSupervisor(
        .report(question, UplinkReport(state: state(at: now), done: letters.count, refusals: refusals))))
  }
}
