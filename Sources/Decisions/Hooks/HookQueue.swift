import DequeModule
import HeapModule
import Messages

/// What a hook is to get.
protocol HookItem: Sendable {
  /// Counted up within its lane, and that of nothing in another: a run is known by it.
  var number: UInt64 { get }
  /// What holding it costs, in bytes.
  var hookBytes: Int { get }
}

/// Runs a hook for what it is to get until it exits with 0: in order within a lane, a few lanes at a time, each with a
/// backoff of its own, so that what the hook cannot take holds up none of the others.
struct HookQueue<Lane: Hashable & Sendable, Item: HookItem>: Sendable {
  /// How many run at once.
  static var concurrency: Int { 4 }
  /// How many things a run gets, and how many bytes of them, though always one.
  static var batch: Int { 64 }
  static var batchBytes: Int { 1 << 20 }

  private struct Line: Sendable {
    var items = Deque<Item>()
    var backoff = Backoff(first: .seconds(1), cap: .seconds(300))
  }

  /// A lane that waits for its turn: those due first, and then those that came first.
  private struct Turn: Sendable, Comparable {
    var due: Instant
    var number: UInt64
    var lane: Lane

    static func == (left: Turn, right: Turn) -> Bool { left.due == right.due && left.number == right.number }
    static func < (left: Turn, right: Turn) -> Bool { (left.due, left.number) < (right.due, right.number) }
  }

  private var lines: [Lane: Line] = [:]
  private var turns = Heap<Turn>()
  /// The lanes of runs, by the number of the first thing each got, until what they took is off the record.
  private var runs: [UInt64: Lane] = [:]

  /// Held until the hook has taken them.
  private(set) var count = 0
  private(set) var bytes = 0

  mutating func put(_ item: Item, in lane: Lane, at now: Instant) {
    count += 1
    bytes += item.hookBytes
    // One that waits or runs has its turn already.
    if lines[lane] == nil { turns.insert(Turn(due: now, number: item.number, lane: lane)) }
    lines[lane, default: Line()].items.append(item)
  }

  /// The next things for which the hook is to be run, all of one lane.
  mutating func next(at now: Instant) -> [Item]? {
    guard let due = nextDeadline, due <= now, let turn = turns.popMin(), let line = lines[turn.lane] else { return nil }
    var items: [Item] = []
    var size = 0
    for item in line.items.prefix(Self.batch) {
      // Nothing is left out of the middle: what a run took is known by its last number.
      guard items.isEmpty || size + item.hookBytes <= Self.batchBytes else { break }
      size += item.hookBytes
      items.append(item)
    }
    if let first = items.first { runs[first.number] = turn.lane }
    return items
  }

  /// A run has ended that got everything of its lane from the number `first` to `last`. What follows what has been taken
  /// waits for `settled`.
  ///
  /// - Returns: the numbers of what has been taken, or how long until the same is tried again.
  mutating func exited(
    first: UInt64, last: UInt64, success: Bool, at now: Instant, dice: inout Dice
  ) -> (taken: [UInt64], delay: Duration?) {
    guard let lane = runs[first], var line = lines[lane] else { return ([], nil) }
    guard success else {
      let delay = line.backoff.next(&dice)
      lines[lane] = line
      goOn(first, at: now + delay)
      return ([], delay)
    }
    var taken: [UInt64] = []
    while let item = line.items.first, item.number <= last {
      line.items.removeFirst()
      count -= 1
      bytes -= item.hookBytes
      taken.append(item.number)
    }
    line.backoff.reset()
    lines[lane] = line
    return (taken, nil)
  }

  /// What the run that began with that number has taken is off the record: a successor of ours would not have it run again
  /// beside what follows.
  mutating func settled(_ first: UInt64, at now: Instant) { goOn(first, at: now) }

  /// The lane of a run has its next turn then, if it has anything left.
  private mutating func goOn(_ first: UInt64, at due: Instant) {
    guard let lane = runs.removeValue(forKey: first) else { return }
    if let item = lines[lane]?.items.first {
      turns.insert(Turn(due: due, number: item.number, lane: lane))
    } else {
      lines[lane] = nil
    }
  }

  /// When `next` may have something that it has not now.
  var nextDeadline: Instant? { runs.count < Self.concurrency ? turns.min?.due : nil }
}

extension CheatReport: HookItem {
  var hookBytes: Int { body.count }
}

extension OutboxEntry: HookItem {
  var number: UInt64 { UInt64(clamping: id.number) }
  var hookBytes: Int { size }
}

extension HookQueue: Bounded {
  func check(_ bounds: inout BoundCheck) {
    bounds.count(count, is: lines.values.reduce(0) { $0 + $1.items.count }, of: "things for a hook")
    bounds.count(
      bytes, is: lines.values.reduce(0) { $1.items.reduce($0) { $0 + $1.hookBytes } }, of: "bytes for a hook")
    bounds.count(turns.count + runs.count, is: lines.count, of: "lanes that have a turn or a run")
    bounds.hold(runs.count <= Self.concurrency, "a hook runs \(runs.count) times at once")
  }
}
