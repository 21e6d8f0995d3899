/// Which run of a child a message belongs to. The Supervisor numbers every spawn anew, never twice in its life.
public struct Generation: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let number: UInt64

  public init(_ number: UInt64) { self.number = number }
  /// Where no child is involved.
  public static let none = Generation(0)

  /// The last stays the last: a number from outside may be it.
  public var next: Generation { Generation(number == .max ? .max : number + 1) }
  public var description: String { String(number) }
  public static func < (left: Generation, right: Generation) -> Bool { left.number < right.number }
}

/// The number a Listener gives an update, counted up from 1 in each generation.
public struct SequenceNumber: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let number: UInt64

  public init(_ number: UInt64) { self.number = number }

  /// The last stays the last: a number from outside may be it.
  public var next: SequenceNumber { SequenceNumber(number == .max ? .max : number + 1) }
  public var description: String { String(number) }
  public static func < (left: SequenceNumber, right: SequenceNumber) -> Bool { left.number < right.number }
}

/// Where a child finds what it inherits. Everything above is closed in it.
public enum InheritedDescriptor {
  /// The socket to the Supervisor. End of file on it means that the Supervisor is gone.
  public static let control: Int32 = 3
  /// The listening socket the child serves: Uplink's own, a job's ingress socket, or the one for specs.
  public static let listening: Int32 = 4
}

/// Exit codes that mean something between our processes. Source: sysexits.h.
public enum ExitCode {
  public static let success: Int32 = 0
  /// EX_USAGE: started in a way that cannot work, by hand for one.
  public static let usage: Int32 = 64
  /// EX_DATAERR: what was given to it cannot be used, now or later.
  public static let data: Int32 = 65
  /// EX_SOFTWARE: a message that cannot be, or a state that must not be.
  public static let software: Int32 = 70
  /// EX_IOERR: the disk or the database failed.
  public static let io: Int32 = 74
  /// EX_TEMPFAIL: not now; the lock is held by another process, or the broker is away.
  public static let temporary: Int32 = 75
  /// EX_CONFIG: the configuration is wrong, and no restart mends it.
  public static let configuration: Int32 = 78
}
