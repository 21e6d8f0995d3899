/// Something for each of a Listener's connections, in the order of their numbers.
///
/// No dictionary, which would do the same: the type of one is made by Swift's runtime when it is first used, which looks
/// through all conformances of the program for the key's, and a Listener that hears five updates spent a tenth of its
/// instructions on each (docs/benchmarks/bench.md). New numbers are larger than those before, and there are few.
public struct ByConnection<Value> {
  /// Of the connections, ascending; a value for each.
  private var numbers: [UInt64] = []
  public private(set) var values: [Value] = []

  public init() {}

  public var count: Int { values.count }
  public var ids: [ConnectionID] { numbers.map { ConnectionID($0) } }

  /// Where it is, or would be.
  private func index(of id: ConnectionID) -> (index: Int, isThere: Bool) {
    var (low, high) = (0, numbers.count)
    while low < high {
      let middle = (low + high) / 2
      if numbers[middle] < id.number { low = middle + 1 } else { high = middle }
    }
    return (low, low < numbers.count && numbers[low] == id.number)
  }

  public subscript(_ id: ConnectionID) -> Value? {
    get {
      let (index, isThere) = index(of: id)
      return isThere ? values[index] : nil
    }
    set {
      let (index, isThere) = index(of: id)
      switch (newValue, isThere) {
      case (let value?, true): values[index] = value
      case (let value?, false):
        numbers.insert(id.number, at: index)
        values.insert(value, at: index)
      case (nil, true):
        numbers.remove(at: index)
        values.remove(at: index)
      case (nil, false): break
      }
    }
  }

  /// Changes it where it lies, if it is there.
  @discardableResult
  mutating func change<Result>(_ id: ConnectionID, _ body: (inout Value) -> Result) -> Result? {
    let (index, isThere) = index(of: id)
    return isThere ? body(&values[index]) : nil
  }

  /// Those for which it is so.
  func ids(where isSo: (Value) -> Bool) -> [ConnectionID] {
    values.indices.compactMap { isSo(values[$0]) ? ConnectionID(numbers[$0]) : nil }
  }

  /// The earliest of these times; nil if there are none.
  func earliest(_ time: (Value) -> Instant?) -> Instant? {
    values.reduce(nil) { .earlier($0, time($1)) }
  }
}

extension ByConnection: Sendable where Value: Sendable {}
