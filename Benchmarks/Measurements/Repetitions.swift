import Platform

/// A time for which something is repeated, at least so often.
public struct Repetitions {
  private let end: Int64
  private var left: Int

  public init(seconds: Double, atLeast fewest: Int = 5) {
    end = Clock.bootNanoseconds + Int64(seconds * 1e9)
    left = fewest
  }

  /// Whether there is to be another one.
  public mutating func next() -> Bool {
    defer { left -= 1 }
    return left > 0 || Clock.bootNanoseconds < end
  }
}
