import DequeModule
import Messages
import StatusUpdates

// Requests that are not taken. Their answers are not on record: nobody can fill it with requests that start nothing.
extension UplinkCore {
  /// A request that may not be believed: its signature does not hold, or its text has two meanings.
  mutating func refuse(_ id: JobID, _ why: String, at now: Moment) {
    figures.refused(.invalidSignature)
    reject(id, .invalidSignature, why, at: now)
  }

  /// A request for which there is no room.
  mutating func turnAway(_ id: JobID, _ why: String, at now: Moment) {
    figures.refused(.busy)
    reject(id, .busy, why, at: now)
  }

  private mutating func reject(_ id: JobID, _ reason: RejectionReason, _ why: String, at now: Moment) {
    let rejection = Rejection(job: id, reason: reason, why: why)
    guard session.isReady else {
      logRefusal(
        .notice, "not taken (\(why)); the connection it came on is gone, and so is its answer", job: id, at: now.boot)
      return
    }
    guard rejections.put(rejection) else {
      logRefusal(
        .warning, "not taken (\(why)), and not answered: \(rejections.count) rejections wait for the facilitator",
        job: id,
        at: now.boot)
      return
    }
    logRefusal(reason == .busy ? .notice : .warning, "rejected (\(reason.rawValue)): \(why)", job: id, at: now.boot)
  }

  /// A line about a request or a report that is not taken. Whoever sends many of them must not fill the journal.
  mutating func logRefusal(
    _ priority: LogPriority, _ text: String, event: JournalEvent = .jobRefused, job: JobID? = nil, at now: Instant
  ) {
    let (passes, dropped) = refusalLines.admit(at: now)
    guard passes else { return }
    if let leftOut = LineLimit.leftOut(dropped) { log(priority, event, leftOut) }
    log(priority, event, text, job: job)
  }

  /// Sends the rejections for which there is room.
  mutating func pumpRejections(at now: Instant) {
    guard rejections.count > 0, !specs.isProbing else { return }
    while outbox.hasRoomForEphemeral, let next = rejections.next() {
      // The true request may have come since: then the forged one has no answer.
      guard jobs[next.job] == nil else { continue }
      actions.append(.send(next.job, .rejected, metadata: next.metadata))
      outbox.sentEphemeral(next.job, at: now)
    }
  }
}

/// The answer to a request that was not taken.
struct Rejection: Sendable {
  var job: JobID
  var reason: RejectionReason
  var why: String

  var metadata: [UInt8] { StatusMetadata.rejected(reason: reason, message: why) }
}

/// Rejections that wait for room in the window, one for each job.
struct Rejections: Sendable {
  private var waiting = Deque<Rejection>()
  private var jobs: Set<JobID> = []

  var count: Int { waiting.count }

  /// Takes one. Returns false when there is no room; one that waits for the job already is enough.
  mutating func put(_ rejection: Rejection) -> Bool {
    if jobs.contains(rejection.job) { return true }
    guard waiting.count < IntakeBounds.rejections else { return false }
    jobs.insert(rejection.job)
    waiting.append(rejection)
    return true
  }

  mutating func next() -> Rejection? {
    guard let first = waiting.popFirst() else { return nil }
    jobs.remove(first.job)
    return first
  }

  mutating func removeAll() {
    waiting.removeAll()
    jobs.removeAll()
  }
}
