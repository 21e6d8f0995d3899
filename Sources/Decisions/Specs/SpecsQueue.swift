import DequeModule
import Messages

/// Machine specs on record, with the number under which they are.
public struct SpecsEntry: Sendable, Hashable {
  public var number: UInt64
  public var specs: MachineSpecs

  public init(number: UInt64, specs: MachineSpecs) {
    self.number = number
    self.specs = specs
  }
}

/// The order in which machine specs go to the facilitator: behind the updates, the newest of each miner only.
///
/// The facilitator does not answer specs that it can read. That they have arrived is known from the pong to a
/// ping that was sent behind them. Specs that may be why connections end are sent alone, behind the others, and are given
/// up on only where updates were taken between one attempt and the next.
/// Source: PROTOCOL.md, The facilitator's WebSocket; decisions/0019.
public struct SpecsQueue: Sendable {
  /// Miners whose specs may wait at once.
  public static let capacity = 10_000
  /// Bytes of specs that may wait at once.
  public static let byteCapacity = 16 << 20
  /// How many are sent before a pong is waited for, and how many bytes: the last one may go beyond them.
  static let batch = 64
  static let batchBytes = 1 << 20
  /// Connections that were lost with it alone unconfirmed, and counted, before it is given up on.
  static let attempts = 3

  private struct Waiting: Sendable {
    var entry: SpecsEntry
    /// Connections that were lost with it unconfirmed.
    var losses = 0
    /// Connections that were lost with it alone, and count.
    var attempts = 0
  }

  /// One's place in the order; the newest of its miner has one that counts.
  private struct Place: Sendable {
    var miner: [UInt8]
    var number: UInt64
  }

  /// By the bytes of the hotkey: Swift holds some strings equal that the record tells apart.
  private var miners: [[UInt8]: Waiting] = [:]
  private var order = Deque<Place>()
  /// Specs that may be why connections end: the one that was tried longest ago first.
  private var suspects = Deque<Place>()
  private var unconfirmed: [SpecsEntry] = []
  private(set) var unconfirmedBytes = 0
  private var bytes = 0
  /// The ping whose pong confirms what is unconfirmed; nil when none was sent behind it.
  private var confirmedBy: UInt64?
  /// The unconfirmed ones are suspect: nothing is to be sent beside them.
  private(set) var isProbing = false
  /// How many suspects may go together: one, and twice as many with each pong.
  private var trust = 1
  /// Specs whose last attempt failed, each once, while no update was taken since.
  private var failed: [Place] = []
  /// Connections that were lost with a suspect alone since an update was taken.
  private var fruitlessProbes = 0
  /// When a suspect may be tried again; nil when one may.
  private var probeAt: Instant?

  public init() {}

  public var count: Int { miners.count }

  /// How many places there are in the order, those that do not count any more among them.
  var places: Int { order.count + suspects.count }

  /// When `next` may have something that it has not now.
  var nextDeadline: Instant? { suspects.isEmpty ? nil : probeAt }

  /// Whether there is room for specs of that miner.
  func hasRoom(for specs: MachineSpecs) -> Bool {
    // The largest there can be must fit somewhere.
    guard !miners.isEmpty else { return true }
    guard let older = miners[specs.key] else {
      return miners.count < Self.capacity && bytes + specs.size <= Self.byteCapacity
    }
    return bytes - older.entry.specs.size + specs.size <= Self.byteCapacity
  }

  /// Whether so little is left that those who wait for room should try again.
  var hasRoomAgain: Bool { miners.count < Self.capacity && bytes <= Self.byteCapacity / 2 }

  /// Takes specs that are on record, in place of older ones of the same miner.
  mutating func put(_ entry: SpecsEntry) {
    bytes += entry.specs.size - (miners[entry.specs.key]?.entry.specs.size ?? 0)
    miners[entry.specs.key] = Waiting(entry: entry)
    order.append(Place(miner: entry.specs.key, number: entry.number))
    // A miner that is told of again and again while nothing is sent leaves places that do not count.
    guard places > 2 * miners.count + Self.batch else { return }
    order = order.filter { newest($0) != nil }
    suspects = suspects.filter { newest($0) != nil }
  }

  private func newest(_ place: Place) -> SpecsEntry? {
    miners[place.miner].map(\.entry).flatMap { $0.number == place.number ? $0 : nil }
  }

  /// A probe that was due may be made.
  mutating func timeReached(_ now: Instant) {
    if let probeAt, probeAt <= now { self.probeAt = nil }
  }

  /// The next ones to send; nil while a batch is unconfirmed or none wait.
  /// - Parameter mayProbe: whether nothing else was sent on this connection that has no answer yet.
  mutating func next(at now: Instant, mayProbe: Bool = true) -> MachineSpecs? {
    timeReached(now)
    guard confirmedBy == nil, unconfirmed.count < Self.batch, unconfirmedBytes < Self.batchBytes else { return nil }
    while !isProbing, let place = order.popFirst() {
      if let entry = newest(place) { return send(entry) }
    }
    guard mayProbe, probeAt == nil, isProbing ? unconfirmed.count < trust : unconfirmed.isEmpty else { return nil }
    while let place = suspects.popFirst() {
      guard let entry = newest(place) else { continue }
      isProbing = true
      return send(entry)
    }
    return nil
  }

  private mutating func send(_ entry: SpecsEntry) -> MachineSpecs {
    unconfirmed.append(entry)
    unconfirmedBytes += entry.specs.size
    return entry.specs
  }

  /// Whether all that was sent on this connection is known to have arrived.
  var isConfirmed: Bool { unconfirmed.isEmpty }

  /// Whether something was sent behind which no ping has gone yet.
  var needsPing: Bool { confirmedBy == nil && !unconfirmed.isEmpty }

  mutating func pinged(_ number: UInt64) { confirmedBy = number }

  /// A pong came: what was sent before its ping has arrived. Returns the numbers that need not be kept.
  mutating func ponged(_ number: UInt64) -> [UInt64] {
    guard let due = confirmedBy, number >= due else { return [] }
    if isProbing { trust = min(2 * trust, Self.batch) }
    let arrived = forgetBatch()
    for entry in arrived where isNewest(entry) { remove(entry) }
    return arrived.map(\.number)
  }

  private mutating func forgetBatch() -> [SpecsEntry] {
    defer { unconfirmed = [] }
    unconfirmedBytes = 0
    confirmedBy = nil
    isProbing = false
    return unconfirmed
  }

  /// The connection is gone: what was not confirmed goes again, first; and what may be why, alone and behind the others.
  mutating func connectionLost(_ loss: Outbox.Loss, at now: Instant) {
    let wasProbing = isProbing
    let batch = forgetBatch()
    trust = 1
    var again: [Place] = []
    for entry in batch where isNewest(entry) {
      let place = Place(miner: entry.specs.key, number: entry.number)
      if loss != .ours { miners[place.miner]?.losses += 1 }
      let losses = miners[place.miner]?.losses ?? 0
      if wasProbing || loss == .disagreement || losses >= Outbox.lossesUntilSuspect {
        suspects.append(place)
      } else {
        again.append(place)
      }
    }
    for place in again.reversed() { order.prepend(place) }
    guard wasProbing, loss != .ours, batch.count == 1, isNewest(batch[0]), let place = suspects.last else { return }
    failed.removeAll { $0.miner == place.miner }
    failed.append(place)
    fruitlessProbes += 1
    probeAt = now + Outbox.probeDelays[min(fruitlessProbes, Outbox.probeDelays.count - 1)]
  }

  /// The facilitator has taken an update: attempts that failed before count. Returns the numbers of those given up on.
  mutating func updateTaken() -> [UInt64] {
    guard !failed.isEmpty else { return [] }
    fruitlessProbes = 0
    probeAt = nil
    var givenUp: [UInt64] = []
    for place in failed {
      guard let entry = newest(place) else { continue }
      miners[place.miner]?.attempts += 1
      guard miners[place.miner]?.attempts ?? 0 >= Self.attempts else { continue }
      remove(entry)
      givenUp.append(entry.number)
    }
    failed = []
    return givenUp
  }

  private func isNewest(_ entry: SpecsEntry) -> Bool {
    miners[entry.specs.key]?.entry.number == entry.number
  }

  private mutating func remove(_ entry: SpecsEntry) {
    miners[entry.specs.key] = nil
    bytes -= entry.specs.size
  }
}

extension MachineSpecs {
  var key: [UInt8] { Array(minerHotkey.utf8) }

  /// What holding them costs, in bytes.
  var size: Int { 128 + minerHotkey.utf8.count + batchID.utf8.count + specs.count }
}

extension SpecsQueue: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    bounds.count(bytes, is: miners.values.reduce(0) { $0 + $1.entry.specs.size }, of: "bytes of specs")
    bounds.hold(miners.count <= Self.capacity, "specs of \(miners.count) miners wait")
    bounds.hold(miners.count == 1 || bytes <= Self.byteCapacity, "\(bytes) bytes of specs wait")
    bounds.hold(order.count <= 2 * (Self.capacity + Self.batch), "\(order.count) places for \(miners.count) miners")
    bounds.count(unconfirmedBytes, is: unconfirmed.reduce(0) { $0 + $1.specs.size }, of: "bytes that are not confirmed")
    bounds.hold(unconfirmed.count <= Self.batch, "\(unconfirmed.count) specs are not confirmed")
    let last = unconfirmed.last?.specs.size ?? 0
    bounds.hold(unconfirmedBytes - last < Self.batchBytes, "\(unconfirmedBytes) bytes of specs are not confirmed")
  }
}
