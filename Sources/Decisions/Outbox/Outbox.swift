import DequeModule
import Messages

/// The order in which committed updates go to the facilitator: pure, over the part of a durable store that is
/// held in memory.
///
/// Within a job strictly first-in first-out with one update in flight, so that a refusal never lets a later
/// status overtake an earlier one; over all jobs up to `window` in flight. Answers carry no id and are matched
/// first-in first-out to what was sent on this connection. Source: DESIGN.md, step 6; PROTOCOL.md, Response.
public struct Outbox: Sendable {
  /// Waits before an update that the facilitator refused is tried again; after the last it is given up on.
  public static let retryDelays: [Duration] = [.seconds(1), .seconds(10), .seconds(60)]

  /// What an answer means.
  public enum Outcome: Sendable, Hashable {
    /// The facilitator has it. `already`: it said so by refusing a second one.
    case delivered(OutboxEntry, already: Bool)
    /// Refused; tried again at that time, and its job waits with it.
    case retry(OutboxEntry, at: Instant, FacilitatorError)
    /// Refused once too often: set aside, and its job goes on.
    case dead(OutboxEntry, FacilitatorError)
    /// A message that is not in the record was answered.
    case ephemeral(JobID, FacilitatorAnswer)
    /// The connection has to be dropped: the two sides no longer agree, or must agree anew.
    case disagreement(String)
  }

  private struct Lane: Sendable {
    var entries = Deque<OutboxEntry>()
    var inFlight = false
  }

  private enum Sent: Sendable {
    case entry(JobID)
    case ephemeral(JobID)
  }

  private let window: Int
  private var lanes: [JobID: Lane] = [:]
  /// Jobs whose first update may be sent, in the order in which it became so.
  private var sendable = Deque<JobID>()
  private var sent = Deque<(what: Sent, at: Instant)>()
  private var held: [JobID: Instant] = [:]
  private var suspects = 0
  /// Entries held in memory, in flight or not.
  public private(set) var count = 0
  public private(set) var bytes = 0

  /// - Parameter window: how many updates may be in flight at once, over all jobs.
  public init(window: Int) { self.window = window }

  public var inFlight: Int { sent.count }
  /// When the oldest update in flight was sent.
  public var oldestSentAt: Instant? { sent.first?.at }
  /// When an update that was refused is due again.
  public var nextRetry: Instant? { held.values.min() }

  /// Takes a committed update, behind what its job already has here.
  public mutating func enqueue(_ entry: OutboxEntry) {
    lanes[entry.job, default: Lane()].entries.append(entry)
    count += 1
    bytes += entry.size
    if lanes[entry.job]?.entries.count == 1 { sendable.append(entry.job) }
  }

  /// How many updates of a job wait here.
  public func queued(_ job: JobID) -> Int { lanes[job]?.entries.count ?? 0 }

  /// The next update to send, which is in flight from now on; nil when the window is full or nothing is ready.
  public mutating func next(at now: Instant) -> OutboxEntry? {
    // While one is under suspicion nothing else is in flight, so that what happens next tells on it alone.
    guard sent.count < (suspects > 0 ? 1 : window) else { return nil }
    for (job, until) in held where until <= now {
      held[job] = nil
      sendable.append(job)
    }
    guard let job = popSendable(), let entry = lanes[job]?.entries.first else { return nil }
    lanes[job]?.inFlight = true
    sent.append((.entry(job), now))
    return entry
  }

  private mutating func popSendable() -> JobID? {
    guard suspects > 0 else { return sendable.popFirst() }
    let isSuspect = { (job: JobID) in lanes[job]?.entries.first?.suspect ?? false }
    guard let index = sendable.firstIndex(where: isSuspect) else { return sendable.popFirst() }
    return sendable.remove(at: index)
  }

  /// A message that is not in the record was sent and will be answered in its turn.
  public mutating func sentEphemeral(_ job: JobID, at now: Instant) { sent.append((.ephemeral(job), now)) }

  /// The facilitator answered: what was sent first is meant.
  public mutating func answered(_ answer: FacilitatorAnswer, at now: Instant) -> Outcome {
    guard let first = sent.popFirst() else { return .disagreement("an answer came and nothing was in flight") }
    guard case .entry(let job) = first.what else {
      guard case .ephemeral(let job) = first.what else { return .disagreement("") }
      return .ephemeral(job, answer)
    }
    switch answer {
    case .success: return delivered(job, already: false)
    case .errors(let errors):
      let error = errors.first ?? FacilitatorError(type: "", message: "an error without a type")
      if error.type == "job.integrity_error" { return delivered(job, already: true) }
      if error.type.hasPrefix("job.") { return refused(job, error, at: now) }
      // Alone in flight and still not understood: it is this one that the facilitator cannot take.
      if lanes[job]?.entries.first?.suspect == true, !error.type.hasPrefix("auth.") {
        return refused(job, error, at: now)
      }
      sent.prepend(first)
      return .disagreement("the facilitator answered \(error.type): \(error.message)")
    }
  }

  private mutating func delivered(_ job: JobID, already: Bool) -> Outcome {
    guard let entry = removeFirst(of: job) else { return .disagreement("the answered update is not there") }
    return .delivered(entry, already: already)
  }

  private mutating func refused(_ job: JobID, _ error: FacilitatorError, at now: Instant) -> Outcome {
    guard var entry = lanes[job]?.entries.first else {
      return .disagreement("the refused update is not there")
    }
    entry.attempts += 1
    guard entry.attempts <= Self.retryDelays.count else {
      removeFirst(of: job)
      return .dead(entry, error)
    }
    clearSuspicion(of: &entry)
    // The facilitator has answered for it: what it has of this update is known again.
    entry.outcomeUnknown = false
    let retryAt = now + Self.retryDelays[entry.attempts - 1]
    lanes[job]?.entries[0] = entry
    lanes[job]?.inFlight = false
    held[job] = retryAt
    return .retry(entry, at: retryAt, error)
  }

  @discardableResult
  private mutating func removeFirst(of job: JobID) -> OutboxEntry? {
    guard var entry = lanes[job]?.entries.popFirst() else { return nil }
    clearSuspicion(of: &entry)
    count -= 1
    bytes -= entry.size
    lanes[job]?.inFlight = false
    if lanes[job]?.entries.isEmpty ?? true { lanes[job] = nil } else { sendable.append(job) }
    return entry
  }

  private mutating func clearSuspicion(of entry: inout OutboxEntry) {
    if entry.suspect { suspects -= 1 }
    entry.suspect = false
  }

  /// The connection is gone: the outcome of everything in flight is unknown, and all of it goes again, before
  /// anything that was not sent yet.
  ///
  /// - Parameter disagreeing: the two sides had stopped agreeing on what an answer means, so that what was in
  ///   flight is sent one at a time until the culprit is found.
  public mutating func connectionLost(disagreeing: Bool) {
    for (what, _) in sent.reversed() {
      guard case .entry(let job) = what, var entry = lanes[job]?.entries.first else { continue }
      entry.outcomeUnknown = true
      if disagreeing, !entry.suspect {
        entry.suspect = true
        suspects += 1
      }
      lanes[job]?.entries[0] = entry
      lanes[job]?.inFlight = false
      sendable.prepend(job)
    }
    sent.removeAll()
  }

  /// The entries in memory by their number, at most `limit`.
  public func report(limit: Int) -> [QueueEntry] {
    let entries = lanes.values.flatMap { lane in
      lane.entries.enumerated().map { index, entry in
        QueueEntry(
          id: Int(entry.id.number), job: entry.job, status: entry.status, attempts: entry.attempts,
          inFlight: index == 0 && lane.inFlight)
      }
    }
    return Array(entries.sorted { $0.id < $1.id }.prefix(limit))
  }
}

extension OutboxEntry {
  /// What holding it costs, in bytes.
  var size: Int { 128 + (metadata?.count ?? 0) }
}
