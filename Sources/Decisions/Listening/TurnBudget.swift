/// How much of what workers have sent is looked at before a Listener's loop turns to its other sockets, its watchdog's
/// among them. Counted in bytes: a value takes one at least, and a frame may be all values. Pure.
public struct TurnBudget: Sendable {
  /// A frame that is larger has a turn of its own.
  public static let bytes = 1 << 18
  /// A frame's cost besides its bytes.
  public static let perFrame = 256

  private var left = bytes

  public init() {}

  public var isOver: Bool { left <= 0 }

  /// A frame was looked at.
  public mutating func took(bytes: Int) { left -= bytes + Self.perFrame }
}
