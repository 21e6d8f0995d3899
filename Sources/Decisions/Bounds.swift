/// Something that holds what others send, counts it, and keeps it within bounds.
public protocol Bounded {
  /// Looks at each bound, and counts again what is counted. For whoever looks for a way beyond the bounds, as the simulation
  /// does: what holds between two events is looked at then.
  func check(_ bounds: inout BoundCheck)
}

extension Bounded {
  /// A bound that does not hold, in words; nil when there is none.
  public var brokenBound: String? {
    var bounds = BoundCheck()
    check(&bounds)
    return bounds.broken
  }
}

/// The result of a look at bounds.
public struct BoundCheck: Sendable {
  /// The first bound that does not hold.
  public private(set) var broken: String?

  /// One that has found nothing yet.
  public init() {}

  mutating func hold(_ holds: Bool, _ broken: @autoclosure () -> String) {
    if !holds, self.broken == nil { self.broken = broken() }
  }

  /// A sum that was counted up and down is what it is a sum of.
  mutating func count(_ counted: Int, is sum: Int, of what: @autoclosure () -> String) {
    hold(counted == sum, "there are \(sum) of \(what()), and \(counted) are counted")
  }
}
