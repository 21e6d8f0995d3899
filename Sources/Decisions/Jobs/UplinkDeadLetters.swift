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
  /// The state of its job's terminal status, behind which nothing may go: a job's newest status is its current one
  /// at the facilitator.
  public enum Terminal: Sendable, Hashable {
    /// There is none yet but itself, or the facilitator has refused it for good.
    case none
    /// It waits. It may have been sent, by this Uplink or an earlier one, and its answer lost.
    case waiting(UpdateID)
    /// The facilitator has it; or may have it, where it became a dead letter by lost connections.
    case taken
  }

  public var entry: OutboxEntry
  public var terminal: Terminal

  public init(entry: OutboxEntry, terminal: Terminal) {
    self.entry = entry
    self.terminal = terminal
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
    var letters: [FoundDeadLetter] = []
    let byID = Dictionary(found.map { ($0.entry.id, $0) }, uniquingKeysWith: { first, _ in first })
    for id in request.letters {
      guard let letter = byID[id], !settling.contains(id) else {
        refusals.append(DeadLetterRefusal(id: Int(id.number), reason: "there is no such dead letter"))
        continue
      }
      if !request.drop, let reason = reasonNotToRetry(letter) {
        refusals.append(DeadLetterRefusal(id: Int(id.number), reason: reason))
        continue
      }
      settling.insert(id)
      letters.append(letter)
    }
    if request.drop {
      for entry in letters.map(\.entry) {
        dead -= 1
        giveBack(room: entry)
        log(.warning, .updateDead, "the dead letter \(entry.status.name) is dropped by hand", job: entry.job)
      }
      commit(
        letters.map { .dropDead($0.entry.id, at: now.wall) },
        then: .droppedDead(request.question, letters.map(\.entry.id), refusals))
    } else {
      commit(letters.map { .revive($0.entry.id) }, then: .revived(request.question, letters, refusals))
    }
  }

  /// Why it may not go to the facilitator any more, with what a person can do; nil when it may.
  private func reasonNotToRetry(_ letter: FoundDeadLetter) -> String? {
    let job = letter.entry.job
    switch letter.terminal {
    case .none:
      guard !letter.entry.status.isTerminal, let job = jobs[job], job.hasTerminal, !job.uncommitted.isEmpty else {
        return nil
      }
      return "its job's terminal status is being stored; try again"
    case .waiting(let terminal):
      if isUnsent(terminal, of: job) { return nil }
      return "its job's terminal status may have been sent and waits for its answer; try again when "
        + "hordelinkctl queue lists nothing of job \(job) any more"
    case .taken:
      return "the facilitator has the terminal status of job \(job), or may have it, and would reopen the job for "
        + "this; hordelinkctl dead drop forgets it"
    }
  }

  /// Whether a waiting update is known not to have been sent, or to have been refused since.
  private func isUnsent(_ id: UpdateID, of job: JobID) -> Bool {
    outbox.isUnsent(id, of: job) ?? (id > backlog.readUpTo && id >= firstOfOurs)
  }

  mutating func revived(
    _ question: UInt64, _ letters: [FoundDeadLetter], _ refusals: [DeadLetterRefusal], at now: Moment
  ) {
    var refusals = refusals
    var done = 0
    for letter in letters {
      let entry = letter.entry
      settling.remove(entry.id)
      // Its job's terminal status may have gone out meanwhile.
      if case .waiting = letter.terminal, let reason = reasonNotToRetry(letter) {
        refusals.append(DeadLetterRefusal(id: Int(entry.id.number), reason: reason))
        commit([.bury(entry.id, attempts: entry.attempts, error: reason, at: now.wall)], then: .nothing)
        continue
      }
      dead -= 1
      queued += 1
      done += 1
      log(.notice, .updateRetried, "the dead letter \(entry.status.name) is sent again by hand", job: entry.job)
      if entry.id > backlog.readUpTo {
        // It is read from the record with the others, in its turn.
        backlog.hasMore = true
      } else if !backlog.hasGaps || outbox.queued(entry.job) > 0 {
        outbox.putBack(entry)
      }
      // Otherwise its job may have been put out of memory, and it is read with that.
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
