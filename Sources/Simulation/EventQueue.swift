/// What will happen, by when: a binary heap. What is due at the same time happens in the order in which it was planned.
struct EventQueue {
  private struct Entry {
    var at: Int64
    var number: UInt64
    var body: () -> Void

    static func < (left: Entry, right: Entry) -> Bool { (left.at, left.number) < (right.at, right.number) }
  }

  private var heap: [Entry] = []
  private var nextNumber: UInt64 = 0

  /// When the next thing happens; nil when nothing is planned.
  var next: Int64? { heap.first?.at }

  mutating func push(at time: Int64, _ body: @escaping () -> Void) {
    heap.append(Entry(at: time, number: nextNumber, body: body))
    nextNumber += 1
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child] < heap[parent] else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> (at: Int64, body: () -> Void)? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return (first.at, first.body) }
    heap[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      guard least != parent else { return (first.at, first.body) }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
