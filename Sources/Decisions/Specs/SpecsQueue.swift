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
/// ping that was sent behind them. Source: PROTOCOL.md, The facilitator's WebSocket.
public struct SpecsQueue: Sendable {
  /// Miners whose specs may wait at once.
  public static let capacity = 10_000
  /// Bytes of specs that may wait at once.
  public static let byteCapacity = 16 << 20
  /// How many are sent before a pong is waited for, and how many bytes: the last one may go beyond them.
  static let batch = 64
  static let batchBytes = 1 << 20
  /// Connections in a row that the two sides stopped agreeing on with it unconfirmed before it is given up on.
  static let attempts = 3

  private struct Waiting: Sendable {
    var entry: SpecsEntry
    var disagreements = 0
  }

  /// One's place in the order; the newest of its miner has one that counts.
  private struct Place: Sendable {
    var miner: [UInt8]
    var number: UInt64
  }

  /// By the bytes of the hotkey: Swift holds some strings equal that the record tells apart.
  private var miners: [[UInt8]: Waiting] = [:]
  private var order = Deque<Place>()
  private var unconfirmed: [SpecsEntry] = []
  private(set) var unconfirmedBytes = 0
  private var bytes = 0
  /// The ping whose pong confirms what is unconfirmed; nil when none was sent behind it.
  private var confirmedBy: UInt64?

  public init() {}

  public var count: Int { miners.count }

  /// How many places there are in the order, those that do not count any more among them.
  var places: Int { order.count }

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
    if order.count > 2 * miners.count + Self.batch { order = order.filter { newest($0) != nil } }
  }

  private func newest(_ place: Place) -> SpecsEntry? {
    miners[place.miner].map(\.entry).flatMap { $0.number == place.number ? $0 : nil }
  }

  /// The next ones to send; nil while a batch is unconfirmed or none wait.
  mutating func next() -> MachineSpecs? {
    guard confirmedBy == nil, unconfirmed.count < Self.batch, unconfirmedBytes < Self.batchBytes else { return nil }
    while let place = order.popFirst() {
      guard let entry = newest(place) else { continue }
      unconfirmed.append(entry)
      unconfirmedBytes += entry.specs.size
      return entry.specs
    }
    return nil
  }

  /// Whether all that was sent on this connection is known to have arrived.
  var isConfirmed: Bool { unconfirmed.isEmpty }

  /// Whether something was sent behind which no ping has gone yet.
  var needsPing: Bool { confirmedBy == nil && !unconfirmed.isEmpty }

  mutating func pinged(_ number: UInt64) { confirmedBy = number }

  /// A pong came: what was sent before its ping has arrived. Returns the numbers that need not be kept.
  mutating func ponged(_ number: UInt64) -> [UInt64] {
    guard let due = confirmedBy, number >= due else { return [] }
    let arrived = unconfirmed
    unconfirmed = []
    unconfirmedBytes = 0
    confirmedBy = nil
    for entry in arrived where isNewest(entry) { remove(entry) }
    return arrived.map(\.number)
  }

  /// The connection is gone: what was not confirmed goes again, first. Returns the numbers of those given up on.
  mutating func connectionLost(disagreeing: Bool) -> [UInt64] {
    var givenUp: [UInt64] = []
    for entry in unconfirmed.reversed() where isNewest(entry) {
      let miner = entry.specs.key
      if disagreeing { miners[miner]?.disagreements += 1 }
      if miners[miner]?.disagreements ?? 0 >= Self.attempts {
        givenUp.append(entry.number)
        remove(entry)
      } else {
        order.prepend(Place(miner: miner, number: entry.number))
      }
    }
    unconfirmed = []
    unconfirmedBytes = 0
    confirmedBy = nil
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
