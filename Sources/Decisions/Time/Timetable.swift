import HeapModule

/// Something that is to be looked at when a time has come.
protocol Timed {
  /// When it is to be looked at next; nil: not until it changes.
  var nextDeadline: Instant? { get }
}

/// Values by their keys, and which of them are due: found without looking at all of them.
///
/// Whoever changes a value has its deadline read again with the next `settle`. Until then `nextDeadline` is that of before.
struct Timetable<Key: Hashable & Comparable & Sendable, Value: Timed & Sendable>: Sendable {
  private struct Entry: Comparable, Sendable {
    var at: Instant
    var key: Key

    static func < (left: Entry, right: Entry) -> Bool { (left.at, left.key) < (right.at, right.key) }
  }

  private var all: [Key: Value] = [:]
  /// The deadlines that count; an entry of the heap that says another is out of date.
  private var deadlines: [Key: Instant] = [:]
  private var heap = Heap<Entry>()
  private var changed: [Key] = []

  subscript(key: Key) -> Value? {
    get { all[key] }
    _modify {
      changed.append(key)
      yield &all[key]
    }
  }

  var isEmpty: Bool { all.isEmpty }
  var keys: some Collection<Key> { all.keys }
  var values: some Collection<Value> { all.values }
  /// In the order of their keys.
  var sorted: [(key: Key, value: Value)] { all.sorted { $0.key < $1.key } }

  /// When the next is due, as of the last `settle`.
  var nextDeadline: Instant? { heap.min?.at }

  /// Reads the deadlines of what has changed.
  mutating func settle() {
    for key in changed {
      let deadline = all[key]?.nextDeadline
      guard deadline != deadlines[key] else { continue }
      deadlines[key] = deadline
      if let deadline { heap.insert(Entry(at: deadline, key: key)) }
    }
    changed.removeAll(keepingCapacity: true)
    while let first = heap.min, deadlines[first.key] != first.at { heap.removeMin() }
    // What is out of date further down stays until its time, but not without bounds.
    if heap.count > 64 + 4 * deadlines.count { heap = Heap(deadlines.map { Entry(at: $0.value, key: $0.key) }) }
  }

  /// The keys of what is due, in their order. Each is told again with the next call for as long as it is.
  mutating func due(at now: Instant) -> [Key] {
    settle()
    var due: [Key] = []
    while let first = heap.min, first.at <= now {
      heap.removeMin()
      guard deadlines[first.key] == first.at else { continue }
      deadlines[first.key] = nil
      changed.append(first.key)
      due.append(first.key)
    }
    return due.sorted()
  }
}
