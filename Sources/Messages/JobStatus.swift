/// What a job's update says about it. Source: PROTOCOL.md, Values.
public enum JobStatus: UInt8, Sendable, Hashable, CaseIterable {
  case unknown = 0
  case sent
  case received
  case accepted
  case executorReady
  case streamingReady
  case volumesReady
  case executionDone
  case completed
  case rejected
  case failed
  case hordeFailed

  /// The status of that name on the wire; a name that is not in the list counts as `unknown`.
  public init(name: String) {
    var name = name
    self = name.withUTF8 { JobStatus(utf8: $0) }
  }

  /// The same for the name's bytes, whatever they are.
  public init(utf8 name: UnsafeBufferPointer<UInt8>) {
    let place = Self.names.firstIndex { $0.count == name.count && $0.elementsEqual(name) }
    self = place.map { Self.statuses[$0] } ?? .unknown
  }

  private static let statuses = allCases
  private static let names = allCases.map { Array($0.name.utf8) }

  /// Its name on the wire.
  public var name: String {
    switch self {
    case .unknown: "unknown"
    case .sent: "sent"
    case .received: "received"
    case .accepted: "accepted"
    case .executorReady: "executor_ready"
    case .streamingReady: "streaming_ready"
    case .volumesReady: "volumes_ready"
    case .executionDone: "execution_done"
    case .completed: "completed"
    case .rejected: "rejected"
    case .failed: "failed"
    case .hordeFailed: "horde_failed"
    }
  }

  /// Whether a job ends with it: nothing may follow a terminal status.
  public var isTerminal: Bool {
    switch self {
    case .completed, .rejected, .failed, .hordeFailed: true
    default: false
    }
  }
}

/// A set of statuses: which ones a job already has.
public struct JobStatusSet: OptionSet, Sendable, Hashable {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }
  public init(_ status: JobStatus) { rawValue = 1 << UInt16(status.rawValue) }
}
