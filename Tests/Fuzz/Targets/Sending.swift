import Decisions
import Messages

extension Choices {
  mutating func answer() -> FacilitatorAnswer {
    let types = ["job.integrity_error", "job.not_found", "auth.signature_invalid", ""]
    if bool() { return .success }
    return .errors((0..<index(3)).map { _ in FacilitatorError(type: pick(types), message: text()) })
  }
}

/// The life of the facilitator's connection. It is over when it says so, and asks for one thing at a time.
func fuzzSession(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var now = Instant(nanoseconds: 0)
  var dice = Dice(seed: choices.number())
  var session = Session(heartbeatInterval: .seconds(1 + choices.index(100)), at: now)
  while !choices.isOver {
    now = now + .milliseconds(choices.pick([0, 1, 999, 20_000, 60_000, 4_000_000]))
    let oldest = choices.bool() ? now + .seconds(-choices.index(100)) : nil
    switch choices.index(6) {
    case 0: _ = session.opened(at: now)
    case 1: if session.isAuthenticating { session.authenticated(at: now) }
    case 2: session.ponged()
    case 3:
      let delay = session.lost(choices.text(), at: now, dice: &dice)
      try hold(delay >= .zero && delay <= .seconds(30), "a delay of \(delay)")
    case 4: if choices.index(8) == 0 { session.close() }
    default: break
    }
    var demands = 0
    while var demand = session.demand(at: now, awaited: oldest) {
      demands += 1
      try hold(demands < 10, "it asks for more and more at one moment")
      if demand == .look {
        let line = LineState(taken: choices.number(), waiting: choices.number())
        guard let seen = session.seen(line, sent: choices.index(1 << 20), at: now, awaited: oldest) else { continue }
        demand = seen
      }
      if case .drop(let reason) = demand { session.lost(reason, at: now, dice: &dice) }
    }
    if session.state != .closed {
      let due = session.nextDeadline(awaited: oldest)
      try hold(due.map { $0 > now } ?? false, "nothing is due later, or what is due is not done")
    }
  }
}

/// The outbox: never more in flight than its window, a job's updates in their order, and one of a job at a time.
func fuzzOutbox(_ bytes: [UInt8]) throws(Finding) {
  var choices = Choices(bytes)
  var now = Instant(nanoseconds: 0)
  let window = 1 + choices.index(5)
  var outbox = Outbox(window: window)
  var id = UpdateID(0)
  /// What each job has sent last on this connection.
  var sent: [JobID: UpdateID] = [:]
  var burying: Set<JobID> = []
  func send() throws(Finding) {
    while let entry = outbox.next(at: now) {
      try hold(outbox.inFlight <= window, "\(outbox.inFlight) in flight; the window is \(window)")
      try hold(sent[entry.job].map { $0 <= entry.id } ?? true, "\(entry.id) behind \(sent[entry.job]?.number ?? 0)")
      try hold(!burying.contains(entry.job), "sent before the dead letter of its job is on record")
      sent[entry.job] = entry.id
    }
  }
  while !choices.isOver {
    now = now + .milliseconds(choices.pick([0, 1, 1000, 5000, 10_000, 60_000]))
    switch choices.index(7) {
    case 0, 1:
      id = id.next
      outbox.enqueue(
        OutboxEntry(
          id: id, job: choices.job(), status: choices.status(), metadata: choices.bool() ? choices.bytes() : nil,
          storedAt: WallTime(milliseconds: 0)))
    case 2:
      outbox.connected(at: now)
      sent = [:]
    case 3, 4:
      switch outbox.answered(choices.answer(), at: now) {
      case .disagreement:
        outbox.connectionLost(.disagreement, at: now)
        sent = [:]
      case .delivered, .retry, .ephemeral: break
      }
      for case .dead(let entry, _) in outbox.takeJudged() { burying.insert(entry.job) }
    case 5:
      outbox.connectionLost(choices.pick([.lost, .disagreement, .ours]), at: now)
      sent = [:]
    default:
      guard let job = burying.sorted().first else { break }
      burying.remove(job)
      outbox.buried(job)
    }
    if choices.bool() { try send() }
    try hold(outbox.count >= outbox.inFlight && outbox.bytes >= 0, "\(outbox.count) wait, \(outbox.bytes) bytes")
    try hold(outbox.report(limit: 1000).count <= outbox.count, "more is told of than waits")
  }
}
