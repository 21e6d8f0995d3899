import DequeModule
import Messages

/// The order in which committed updates go to the facilitator: pure, over the part of a durable store that is
/// held in memory.
///
/// Within a job strictly first-in first-out with one update in flight, so that a refusal never lets a later
/// status overtake an earlier one; over all jobs up to `window` in flight. Answers carry no id and are matched
/// first-in first-out to what was sent on this connection. An update that is under suspicion of ending
/// connections is sent alone, behind the others.
///
/// A failed attempt counts against an update only once an update of another job, sent after it, was taken: while
/// nothing gets through it is the facilitator that is ill, and nothing is given up on.
/// Source: DESIGN.md, One job; PROTOCOL.md, Response; decisions/0019.
public struct Outbox: Sendable {
  /// Waits before an update that the facilitator refused is tried again, the last of them each further time; it is
  /// given up on when more refusals than these have counted.
  public static let retryDelays: [Duration] = [.seconds(1), .seconds(10), .seconds(60)]
  /// Connections in a row that were lost with an update in flight before it is suspect.
  public static let lossesUntilSuspect = 3
  /// Connections that were lost with it alone in flight, and counted, before it is given up on.
  public static let lossesAlone = 3
  /// On a connection that has lived this long suspects wait no longer for the others.
  public static let probation = Duration.seconds(5)
  /// How long after a connection was lost to a suspect the next one is tried, by how many were lost like that one after
  /// the other: meanwhile jobs come, and what they report. The last leaves a connection a minute, after which it counts
  /// as one that held (`Session.stable`).
  static let probeDelays: [Duration] = [.zero, .zero, .seconds(1), .seconds(10), .seconds(75)]
  /// What may be in flight before nothing more is sent, in bytes: the last one may go beyond it.
  public static let bytesInFlightLimit = 4 << 20

  private struct Lane: Sendable {
    var entries = Deque<OutboxEntry>()
    var inFlight = false
  }

  private struct Sent: Sendable {
    var job: JobID
    var at: Instant
    var bytes: Int
    /// Not in the record: nothing is sent again.
    var isEphemeral = false
  }

  /// How many updates may be in flight at once, over all jobs.
  public var window: Int
  private var lanes: [JobID: Lane] = [:]
  /// Jobs whose first update may be sent, in the order in which it became so.
  private var sendable = Deque<JobID>()
  /// The same for those whose first update is suspect: the one that was tried longest ago first.
  private var suspects = Deque<JobID>()
  private var sent = Deque<Sent>()
  /// How many of those are updates in the record.
  private(set) var storedInFlight = 0
  private(set) var bytesInFlight = 0
  /// When the last answer came on this connection.
  private var answeredAt: Instant?
  /// How many of `sent` are not in the record.
  private var ephemeral = 0
  private var held: [JobID: Instant] = [:]
  /// Not after the first of those times.
  private var heldUntil: Instant?
  /// Failed attempts of first updates, each job's last one, since which no other job's update was taken. Answers come
  /// in the order of sending, so whatever is taken next was sent after all of them.
  private var failed: [JobID: Failure] = [:]
  private var judged: [Judgement] = []
  /// Jobs that have lost an update as a dead letter which is not on record as one yet. What follows it must not go
  /// before: a successor would send both in their order.
  private var burying: Set<JobID> = []
  /// Jobs whose first update was in flight when the last connection was lost.
  private var lossy: Set<JobID> = []
  private var isConnected = false
  /// When a suspect may be tried again; nil when one may.
  private var probeAt: Instant?
  /// When suspects no longer wait for the others; nil once they do not.
  private var oldAt: Instant?
  /// What is in flight is suspect, and nothing else is sent beside it.
  private var isProbing = false
  /// How many suspects may be in flight together: one, and twice as many with each that is taken, so that an outage
  /// that has made all of them suspect is soon made up for.
  private var trust = 1
  /// Connections that were lost with a suspect alone in flight since anything was taken.
  private var fruitlessProbes = 0
  /// Entries held in memory, in flight or not.
  public private(set) var count = 0
  public private(set) var bytes = 0

  public init(window: Int) { self.window = window }

  public var inFlight: Int { sent.count }
  /// Since when the next answer is awaited: since the oldest update in flight was sent, or since the answer before. nil when
  /// nothing is in flight.
  public var awaitedSince: Instant? { sent.first.map { max($0.at, answeredAt ?? $0.at) } }

  /// Whether updates wait that could be sent if there were room in the window.
  public var hasSendable: Bool { !sendable.isEmpty }
  /// Whether nothing else is to be sent that might end a connection: a suspect is in flight, or it is its turn.
  public var isExclusive: Bool { isProbing || suspectIsDue }
  /// Jobs whose first update has failed and is tried again.
  public var retrying: Int { held.count + suspects.count + (isProbing ? storedInFlight : 0) }

  /// Whether nothing is in flight, and all that is held in memory has failed.
  public var isStuck: Bool { sendable.isEmpty && storedInFlight == 0 && !(held.isEmpty && suspects.isEmpty) }

  /// Whether a message that is not in the record may be sent: those take a quarter of the window at most, so that neither
  /// they nor updates hold up the others, and nothing goes beside a suspect.
  public var hasRoomForEphemeral: Bool {
    // Of a window that cannot be divided they take what updates leave.
    isConnected && !isExclusive && sent.count < window
      && (window < 4 ? sendable.isEmpty && ephemeral < 1 : ephemeral < window / 4)
  }

  /// When `next` may have something that it has not now: a refused update is due, or a suspect one.
  public var nextDeadline: Instant? {
    guard !suspects.isEmpty, !isProbing else { return heldUntil }
    let probe = sendable.isEmpty ? probeAt : [probeAt, oldAt].compactMap(\.self).max()
    return [heldUntil, probe].compactMap(\.self).min()
  }

  /// Takes a committed update, behind what its job already has here.
  public mutating func enqueue(_ entry: OutboxEntry) {
    count += 1
    bytes += entry.size
    if let index = lanes.index(forKey: entry.job) {
      lanes.values[index].entries.append(entry)
      return
    }
    lanes[entry.job] = Lane(entries: [entry])
    if burying.isEmpty || !burying.contains(entry.job) { sendable.append(entry.job) }
  }

  /// The dead letter of that job is on record: what follows it may go.
  public mutating func buried(_ job: JobID) {
    if burying.remove(job) != nil, lanes[job] != nil { makeSendable(job) }
  }

  /// Takes back an update that had been given up on, before what its job stored later; not before what is in flight.
  public mutating func putBack(_ entry: OutboxEntry) {
    guard let lane = lanes[entry.job] else {
      enqueue(entry)
      return
    }
    let later = lane.entries.firstIndex { $0.id > entry.id } ?? lane.entries.count
    let place = max(later, lane.inFlight ? 1 : 0)
    // An attempt of what was first is none of this one.
    if place == 0 { failed[entry.job] = nil }
    lanes[entry.job]?.entries.insert(entry, at: place)
    count += 1
    bytes += entry.size
  }

  /// Whether the facilitator is known not to have an update, since it was never sent or was refused; nil when it is not
  /// held here.
  func isUnsent(_ id: UpdateID, of job: JobID) -> Bool? {
    guard let lane = lanes[job], let index = lane.entries.firstIndex(where: { $0.id == id }) else { return nil }
    return !lane.entries[index].outcomeUnknown && !(index == 0 && lane.inFlight)
  }

  // MARK: Out of memory

  /// Puts the half of what has failed that is oldest in the record out of memory, with all that follows it in its jobs:
  /// the newer half stays, so that what is read next may speak against it.
  ///
  /// - Returns: when the oldest of that was stored.
  mutating func setAside() -> WallTime? {
    var stored: WallTime?
    let jobs = (Array(held.keys) + suspects).compactMap { job in lanes[job]?.entries.first.map { (job, $0.id) } }
    let oldest = jobs.sorted { $0.1 < $1.1 }.prefix((jobs.count + 1) / 2).map(\.0)
    for job in oldest {
      held[job] = nil
      failed[job] = nil
      guard let lane = lanes.removeValue(forKey: job) else { continue }
      stored = [stored, lane.entries.first?.storedAt].compactMap(\.self).min()
      count -= lane.entries.count
      bytes -= lane.entries.reduce(0) { $0 + $1.size }
    }
    suspects.removeAll { lanes[$0] == nil }
    lossy = lossy.filter { lanes[$0] != nil }
    heldUntil = held.values.min()
    return stored
  }

  /// Puts everything out of memory; nothing is in flight.
  mutating func forget() {
    lanes = [:]
    sendable = []
    suspects = []
    held = [:]
    heldUntil = nil
    failed = [:]
    lossy = []
    count = 0
    bytes = 0
  }

  /// When the oldest of the updates that wait here was put on record. Looks at every job.
  public var oldestStoredAt: WallTime? {
    lanes.values.compactMap(\.entries.first).min { $0.id < $1.id }?.storedAt
  }

  /// How many updates of a job wait here.
  public func queued(_ job: JobID) -> Int { lanes[job]?.entries.count ?? 0 }

  // MARK: Sending

  /// A connection is ready for updates.
  public mutating func connected(at now: Instant) {
    isConnected = true
    oldAt = now + Self.probation
  }

  /// The next update to send, which is in flight from now on; nil when the window is full or nothing is ready.
  ///
  /// - Parameter mayProbe: whether nothing else was sent on this connection that has no answer yet.
  public mutating func next(at now: Instant, mayProbe: Bool = true) -> OutboxEntry? {
    if let heldUntil, heldUntil <= now { release(at: now) }
    if let probeAt, probeAt <= now { self.probeAt = nil }
    if let oldAt, oldAt <= now { self.oldAt = nil }
    guard sent.count < window, bytesInFlight < Self.bytesInFlightLimit else { return nil }
    if isExclusive {
      // What happens next must tell on suspects alone.
      guard isProbing ? storedInFlight < trust : mayProbe && sent.isEmpty, let suspect = suspects.popFirst()
      else { return nil }
      isProbing = true
      return send(suspect, at: now)
    }
    guard let job = sendable.popFirst() else { return nil }
    return send(job, at: now)
  }

  private mutating func release(at now: Instant) {
    for (job, _) in held.filter({ $0.value <= now }).sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
      held[job] = nil
      makeSendable(job)
    }
    heldUntil = held.values.min()
  }

  private mutating func hold(_ job: JobID, until time: Instant) {
    held[job] = time
    heldUntil = heldUntil.map { min($0, time) } ?? time
  }

  /// Whether it is a suspect's turn. The others go first, but not for ever.
  private var suspectIsDue: Bool { !suspects.isEmpty && probeAt == nil && (sendable.isEmpty || oldAt == nil) }

  private mutating func send(_ job: JobID, at now: Instant) -> OutboxEntry? {
    guard let index = lanes.index(forKey: job), let entry = lanes.values[index].entries.first else { return nil }
    lanes.values[index].inFlight = true
    track(Sent(job: job, at: now, bytes: entry.size))
    return entry
  }

  private mutating func makeSendable(_ job: JobID) {
    if let first = lanes[job]?.entries.first { makeSendable(job, first) }
  }

  private mutating func makeSendable(_ job: JobID, _ first: OutboxEntry) {
    if first.suspect { suspects.append(job) } else { sendable.append(job) }
  }

  /// A message that is not in the record was sent and will be answered in its turn.
  public mutating func sentEphemeral(_ job: JobID, at now: Instant) {
    ephemeral += 1
    track(Sent(job: job, at: now, bytes: 256, isEphemeral: true))
  }

  private mutating func track(_ message: Sent) {
    sent.append(message)
    if !message.isEphemeral { storedInFlight += 1 }
    bytesInFlight += message.bytes
  }

  // MARK: Answers

  /// The facilitator answered: what was sent first is meant.
  public mutating func answered(_ answer: FacilitatorAnswer, at now: Instant) -> Outcome {
    guard let first = sent.first else { return .disagreement("an answer came and nothing was in flight") }
    var error: FacilitatorError?
    if case .errors(let errors) = answer {
      error = errors.first ?? FacilitatorError(type: "", message: "an error without a type")
    }
    let isAttributed = error?.type.hasPrefix("job.") ?? true
    // Alone in flight and still not understood: it is this one that the facilitator cannot take.
    let isCulprit =
      isProbing && storedInFlight == 1 && !first.isEphemeral && error?.type.hasPrefix("auth.") == false
    guard isAttributed || isCulprit else {
      return .disagreement("the facilitator answered \(error?.type ?? ""): \(error?.message ?? "")")
    }
    sent.removeFirst()
    answeredAt = now
    bytesInFlight -= first.bytes
    let isTaken = error == nil || error?.type == "job.integrity_error"
    if first.isEphemeral {
      ephemeral -= 1
      if isTaken { taken(first.job, at: now) }
      return .ephemeral(first.job, answer)
    }
    storedInFlight -= 1
    if isProbing {
      if isTaken { trust = min(2 * trust, window) }
      isProbing = storedInFlight > 0
      if !isProbing, suspects.isEmpty { trust = 1 }
    }
    if let error, !isTaken { return refused(first.job, error, isUnderstood: isAttributed, at: now) }
    guard let entry = removeFirst(of: first.job) else { return .disagreement("the answered update is not there") }
    taken(first.job, at: now)
    return .delivered(entry, already: error != nil)
  }

  private mutating func refused(
    _ job: JobID, _ error: FacilitatorError, isUnderstood: Bool, at now: Instant
  ) -> Outcome {
    guard var entry = lanes[job]?.entries.first else {
      return .disagreement("the refused update is not there")
    }
    entry.refusals = max(entry.refusals, entry.attempts) + 1
    // The facilitator has answered for it: what it has of this update is known again. An answer that is none to an
    // update says nothing about that, and beside others it would be nobody's.
    let isUnknown = entry.outcomeUnknown && !isUnderstood
    entry.clear()
    entry.outcomeUnknown = isUnknown
    entry.suspect = !isUnderstood
    let retryAt = now + Self.retryDelays[min(entry.refusals, Self.retryDelays.count) - 1]
    lanes[job]?.entries[0] = entry
    lanes[job]?.inFlight = false
    // The others are next, however many suspects there are.
    if entry.suspect { oldAt = now + Self.probation }
    failed[job] = .refused(error)
    hold(job, until: retryAt)
    return .retry(entry, at: retryAt, error)
  }

  @discardableResult
  private mutating func removeFirst(of job: JobID) -> OutboxEntry? {
    guard let index = lanes.index(forKey: job), let entry = lanes.values[index].entries.popFirst() else { return nil }
    count -= 1
    bytes -= entry.size
    if !lossy.isEmpty { lossy.remove(job) }
    if !failed.isEmpty { failed[job] = nil }
    lanes.values[index].inFlight = false
    guard let next = lanes.values[index].entries.first else {
      lanes.remove(at: index)
      return entry
    }
    if burying.isEmpty || !burying.contains(job) { makeSendable(job, next) }
    return entry
  }

  // MARK: Evidence

  /// What has come of failed attempts since this was last asked.
  public mutating func takeJudged() -> [Judgement] {
    guard !judged.isEmpty else { return [] }
    defer { judged = [] }
    return judged
  }

  /// The facilitator has taken an update of that job: attempts of others that failed before it was sent count.
  private mutating func taken(_ job: JobID, at now: Instant) {
    fruitlessProbes = 0
    probeAt = nil
    guard !failed.isEmpty else { return }
    let found = failed.filter { $0.key != job }.sorted { $0.key < $1.key }
    failed = [:]
    for (job, failure) in found { judge(job, failure, at: now) }
  }

  private mutating func judge(_ job: JobID, _ failure: Failure, at now: Instant) {
    guard let lane = lanes[job], var entry = lane.entries.first else { return }
    switch failure {
    case .refused: entry.attempts += 1
    case .lost: entry.lossesAlone += 1
    }
    lanes[job]?.entries[0] = entry
    // In flight again, it may be taken yet.
    if !lane.inFlight, entry.isSpent {
      bury(job, failure)
      return
    }
    judged.append(.counted(entry, failure))
    if case .refused = failure, let due = held[job] {
      hold(job, until: min(due, now + Self.retryDelays[min(entry.attempts, Self.retryDelays.count) - 1]))
    }
  }

  private mutating func bury(_ job: JobID, _ failure: Failure) {
    burying.insert(job)
    if held.removeValue(forKey: job) != nil { heldUntil = held.values.min() }
    suspects.removeAll { $0 == job }
    sendable.removeAll { $0 == job }
    guard var entry = removeFirst(of: job) else { return }
    // The facilitator may have it: it is not known to have refused it for good.
    if entry.outcomeUnknown { entry.attempts = min(entry.attempts, Self.retryDelays.count) }
    judged.append(.dead(entry, failure))
  }

  // MARK: Losses

  /// The connection is gone: the outcome of everything in flight is unknown, and all of it goes again, before
  /// anything that was not sent yet.
  ///
  /// - Returns: the update that was alone in flight and under suspicion, so that it may be why.
  @discardableResult
  public mutating func connectionLost(_ loss: Loss, at now: Instant) -> OutboxEntry? {
    // An attempt that came to nothing says nothing about any update.
    guard isConnected || !sent.isEmpty else { return nil }
    isConnected = false
    let inFlight = sent.filter { !$0.isEphemeral }
    let wasAlone = isProbing && inFlight.count == 1 && loss != .ours
    for job in lossy.subtracting(inFlight.map(\.job)) { lanes[job]?.entries[0].losses = 0 }
    lossy = Set(inFlight.map(\.job))
    var again: [JobID] = []
    for lost in inFlight {
      guard var entry = lanes[lost.job]?.entries.first else { continue }
      entry.outcomeUnknown = true
      if loss != .ours { entry.losses += 1 }
      if loss == .disagreement || entry.losses >= Self.lossesUntilSuspect { entry.suspect = true }
      lanes[lost.job]?.entries[0] = entry
      lanes[lost.job]?.inFlight = false
      if entry.suspect { suspects.append(lost.job) } else { again.append(lost.job) }
    }
    for job in again.reversed() { sendable.prepend(job) }
    if wasAlone, let job = inFlight.first?.job {
      failed[job] = .lost
      fruitlessProbes += 1
      probeAt = now + Self.probeDelays[min(fruitlessProbes, Self.probeDelays.count - 1)]
    }
    sent.removeAll()
    ephemeral = 0
    bytesInFlight = 0
    answeredAt = nil
    storedInFlight = 0
    isProbing = false
    trust = 1
    oldAt = nil
    return wasAlone ? inFlight.first.flatMap { lanes[$0.job]?.entries.first } : nil
  }

  /// The entries in memory by their number, at most `limit`.
  public func report(limit: Int) -> [QueueEntry] {
    let entries = lanes.values.flatMap { lane in
      lane.entries.enumerated().map { index, entry in
        QueueEntry(
          id: Int(entry.id.number), job: entry.job, status: entry.status, attempts: max(entry.attempts, entry.refusals),
          inFlight: index == 0 && lane.inFlight)
      }
    }
    return Array(entries.sorted { $0.id < $1.id }.prefix(limit))
  }
}

extension Outbox: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    var entries = 0
    var size = 0
    var lanesInFlight = 0
    var afterDead = 0
    for (job, lane) in lanes {
      entries += lane.entries.count
      for entry in lane.entries { size += entry.size }
      if lane.inFlight { lanesInFlight += 1 } else if burying.contains(job) { afterDead += 1 }
    }
    bounds.count(count, is: entries, of: "updates in memory")
    bounds.count(bytes, is: size, of: "bytes in memory")
    bounds.count(storedInFlight, is: lanesInFlight, of: "jobs with an update in flight")
    bounds.count(storedInFlight + ephemeral, is: sent.count, of: "messages in flight")
    // A job in two places would be sent twice, and one in none never.
    bounds.count(
      sendable.count + suspects.count + held.count + lanesInFlight + afterDead, is: lanes.count, of: "jobs that wait")
    bounds.hold(sent.count <= window, "\(sent.count) messages are in flight; the window is \(window)")
    bounds.hold(ephemeral <= max(1, window / 4), "\(ephemeral) of \(window) in flight are not on record")
    bounds.count(bytesInFlight, is: sent.reduce(0) { $0 + $1.bytes }, of: "bytes in flight")
    let last = sent.last { !$0.isEphemeral }?.bytes ?? 0
    let unstored = sent.reduce(0) { $0 + ($1.isEphemeral ? $1.bytes : 0) }
    bounds.hold(bytesInFlight - unstored - last < Self.bytesInFlightLimit, "\(bytesInFlight) bytes are in flight")
  }
}
