import DequeModule
import Messages

/// The order in which committed updates go to the facilitator: pure, over the part of a durable store that is
/// held in memory.
///
/// Within a job strictly first-in first-out with one update in flight, so that a refusal never lets a later
/// status overtake an earlier one; over all jobs up to `window` in flight. Answers carry no id and are matched
/// first-in first-out to what was sent on this connection. An update that is under suspicion of ending
/// connections is sent alone, behind the others. Source: DESIGN.md, One job; PROTOCOL.md, Response.
public struct Outbox: Sendable {
  /// Waits before an update that the facilitator refused is tried again; after the last it is given up on.
  public static let retryDelays: [Duration] = [.seconds(1), .seconds(10), .seconds(60)]
  /// Connections in a row that were lost with an update in flight before it is suspect.
  public static let lossesUntilSuspect = 3
  /// Connections that were lost with it alone in flight before it is given up on.
  public static let lossesAlone = 3
  /// Within this time of its sending a lost connection tells on the update; and a connection that has lived
  /// this long works.
  public static let probation = Duration.seconds(5)
  /// Bytes a second that are expected of any line.
  static let slowestLine = 32_768

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
  /// The same for those whose first update is suspect.
  private var suspects: [JobID] = []
  private var sent = Deque<Sent>()
  private var bytesInFlight = 0
  /// How many of `sent` are not in the record.
  private var ephemeral = 0
  private var held: [JobID: Instant] = [:]
  /// Jobs that have lost an update as a dead letter which is not on record as one yet. What follows it must not go
  /// before: a successor would send both in their order.
  private var burying: Set<JobID> = []
  /// Jobs whose first update was in flight when the last connection was lost.
  private var lossy: Set<JobID> = []
  private var isConnected = false
  /// When the connection will have lived long enough to be known to work; nil once it has.
  private var worksAt: Instant?
  /// It has lived that long, or an answer has come on it.
  private var works = false
  /// It has lived that long: suspects wait no longer for the others.
  private var isOld = false
  /// The update in flight is suspect, and nothing else is sent beside it.
  private var isProbing = false
  /// Entries held in memory, in flight or not.
  public private(set) var count = 0
  public private(set) var bytes = 0

  public init(window: Int) { self.window = window }

  public var inFlight: Int { sent.count }
  /// What the bytes in flight are given, beyond the time for an answer, to get through a slow line.
  public var allowance: Duration { .seconds(bytesInFlight / Self.slowestLine) }

  /// When the oldest update in flight was sent.
  public var oldestSentAt: Instant? { sent.first?.at }

  /// Whether updates wait that could be sent if there were room in the window.
  public var hasSendable: Bool { !sendable.isEmpty }
  /// Whether an update is under suspicion, so that nothing else is to be sent that might end a connection.
  public var hasSuspects: Bool { isProbing || !suspects.isEmpty }

  /// Whether a message that is not in the record may be sent: those take a quarter of the window at most, so that neither
  /// they nor updates hold up the others, and nothing goes beside a suspect.
  public var hasRoomForEphemeral: Bool {
    // Of a window that cannot be divided they take what updates leave.
    isConnected && !hasSuspects && sent.count < window
      && (window < 4 ? sendable.isEmpty && ephemeral < 1 : ephemeral < window / 4)
  }

  /// When `next` may have something that it has not now: a refused update is due, or a suspect one.
  public var nextDeadline: Instant? {
    return [held.values.min(), suspects.isEmpty ? nil : worksAt].compactMap(\.self).min()
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

  /// Takes back an update that had been given up on, before what its job stored later.
  ///
  /// - Returns: false when the job's terminal status is in flight, behind which nothing may go.
  public mutating func putBack(_ entry: OutboxEntry) -> Bool {
    guard let lane = lanes[entry.job] else {
      enqueue(entry)
      return true
    }
    if lane.inFlight, let first = lane.entries.first, first.status.isTerminal { return false }
    let later = lane.entries.firstIndex { $0.id > entry.id } ?? lane.entries.count
    lanes[entry.job]?.entries.insert(entry, at: max(later, lane.inFlight ? 1 : 0))
    count += 1
    bytes += entry.size
    return true
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
    worksAt = now + Self.probation
    works = false
    isOld = false
  }

  /// The next update to send, which is in flight from now on; nil when the window is full or nothing is ready.
  public mutating func next(at now: Instant) -> OutboxEntry? {
    release(at: now)
    if let due = worksAt, due <= now {
      worksAt = nil
      works = true
      isOld = true
    }
    guard !isProbing, sent.count < window else { return nil }
    if let suspect = dueSuspect {
      // What happens next must tell on it alone.
      guard sent.isEmpty else { return nil }
      suspects.removeAll { $0 == suspect }
      isProbing = true
      return send(suspect, at: now)
    }
    guard let job = sendable.popFirst() else { return nil }
    return send(job, at: now)
  }

  private mutating func release(at now: Instant) {
    guard !held.isEmpty else { return }
    for (job, _) in held.filter({ $0.value <= now }).sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
      held[job] = nil
      makeSendable(job)
    }
  }

  /// The suspect whose turn it is. The others go first, but not for ever; and one that has ended a connection is
  /// tried again only on one that is known to work without it.
  private var dueSuspect: JobID? {
    func key(_ job: JobID) -> (Int, UpdateID) {
      let entry = lanes[job]?.entries.first
      return (entry?.lossesAlone ?? 0, entry?.id ?? UpdateID(0))
    }
    guard let suspect = suspects.min(by: { key($0) < key($1) }) else { return nil }
    guard sendable.isEmpty || isOld else { return nil }
    return key(suspect).0 == 0 || works ? suspect : nil
  }

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
    let isCulprit = isProbing && error?.type.hasPrefix("auth.") == false
    guard isAttributed || isCulprit else {
      return .disagreement("the facilitator answered \(error?.type ?? ""): \(error?.message ?? "")")
    }
    sent.removeFirst()
    bytesInFlight -= first.bytes
    works = true
    if first.isEphemeral {
      ephemeral -= 1
      return .ephemeral(first.job, answer)
    }
    isProbing = false
    guard let error else { return delivered(first.job, already: false) }
    if error.type == "job.integrity_error" { return delivered(first.job, already: true) }
    return refused(first.job, error, at: now)
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
      burying.insert(job)
      removeFirst(of: job)
      return .dead(entry, error)
    }
    // The facilitator has answered for it: what it has of this update is known again.
    entry.clear()
    let retryAt = now + Self.retryDelays[entry.attempts - 1]
    lanes[job]?.entries[0] = entry
    lanes[job]?.inFlight = false
    held[job] = retryAt
    return .retry(entry, at: retryAt, error)
  }

  @discardableResult
  private mutating func removeFirst(of job: JobID) -> OutboxEntry? {
    guard let index = lanes.index(forKey: job), let entry = lanes.values[index].entries.popFirst() else { return nil }
    count -= 1
    bytes -= entry.size
    if !lossy.isEmpty { lossy.remove(job) }
    lanes.values[index].inFlight = false
    guard let next = lanes.values[index].entries.first else {
      lanes.remove(at: index)
      return entry
    }
    if burying.isEmpty || !burying.contains(job) { makeSendable(job, next) }
    return entry
  }

  // MARK: Losses

  /// The connection is gone: the outcome of everything in flight is unknown, and all of it goes again, before
  /// anything that was not sent yet.
  ///
  /// - Parameter disagreeing: the two sides had stopped agreeing on what an answer means, so that what was in
  ///   flight is sent one at a time until the culprit is found.
  /// - Returns: the update that is given up on, since it has ended one connection after the other by itself.
  @discardableResult
  public mutating func connectionLost(disagreeing: Bool, at now: Instant) -> OutboxEntry? {
    // An attempt that came to nothing says nothing about any update.
    guard isConnected || !sent.isEmpty else { return nil }
    isConnected = false
    var dead: OutboxEntry?
    let inFlight = sent.filter { !$0.isEphemeral }
    for job in lossy.subtracting(inFlight.map(\.job)) { lanes[job]?.entries[0].losses = 0 }
    lossy = Set(inFlight.map(\.job))
    for lost in inFlight.reversed() {
      let job = lost.job
      guard var entry = lanes[job]?.entries.first else { continue }
      entry.outcomeUnknown = true
      entry.losses += 1
      if isProbing, now - lost.at <= Self.probation + allowance { entry.lossesAlone += 1 }
      if disagreeing || entry.losses >= Self.lossesUntilSuspect { entry.suspect = true }
      lanes[job]?.entries[0] = entry
      lanes[job]?.inFlight = false
      if entry.lossesAlone >= Self.lossesAlone {
        burying.insert(job)
        dead = removeFirst(of: job)
      } else if entry.suspect {
        suspects.append(job)
      } else {
        sendable.prepend(job)
      }
    }
    sent.removeAll()
    ephemeral = 0
    bytesInFlight = 0
    isProbing = false
    worksAt = nil
    return dead
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
