/// How long something took, each time: counted in buckets. Source: OpenMetrics 1.0, Histogram.
public struct Histogram: Sendable, Equatable {
  /// The upper bounds of its buckets, inclusive and rising; above the last there is one more, without a bound.
  public let bounds: [Duration]
  /// How many fell into each bucket and into none below it, the one without a bound last.
  public private(set) var counts: [Int]
  /// All of them together.
  public private(set) var sum = Duration.zero

  /// An empty one.
  /// - Parameter bounds: rising.
  public init(bounds: [Duration]) {
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// Takes note of one. What seems to have taken less than nothing, since a clock was set, took nothing.
  public mutating func observe(_ duration: Duration) {
    let duration = max(.zero, duration)
    counts[bounds.firstIndex { duration <= $0 } ?? bounds.count] += 1
    sum += duration
  }
}
