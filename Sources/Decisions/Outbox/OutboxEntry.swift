import Messages

/// The number of an update in the record, counted up over all jobs and never used twice.
public struct UpdateID: Sendable, Hashable, Comparable, CustomStringConvertible {
  public let number: Int64
  public init(_ number: Int64) { self.number = number }

  public var next: UpdateID { UpdateID(number.saturatingAdd(1)) }
  public var description: String { String(number) }
  public static func < (left: UpdateID, right: UpdateID) -> Bool { left.number < right.number }
}

/// An update that is committed and not yet accepted by the facilitator.
public struct OutboxEntry: Sendable, Hashable {
  public var id: UpdateID
  public var job: JobID
  public var status: JobStatus
  /// JSON, or nil for null.
  public var metadata: [UInt8]?
  /// When it was put on record.
  public var storedAt: WallTime
  /// How often the facilitator has refused it while it took others.
  public var attempts: Int
  /// How often it has refused it since it was read, whatever became of others.
  var refusals = 0
  /// It was sent before and the answer never came: the facilitator may have it.
  public var outcomeUnknown = false
  /// It may be what ends connections: sent alone until it is cleared.
  public var suspect = false
  /// Connections in a row that were lost with it in flight.
  var losses = 0
  /// Connections that were lost with it alone in flight, while others were taken on the next.
  var lossesAlone = 0

  public init(
    id: UpdateID, job: JobID, status: JobStatus, metadata: [UInt8]?, storedAt: WallTime, attempts: Int = 0
  ) {
    self.id = id
    self.job = job
    self.status = status
    self.metadata = metadata
    self.storedAt = storedAt
    self.attempts = attempts
  }

  /// The facilitator has refused it as often as it may, so that it is known not to have it.
  public var isRefusedForGood: Bool { attempts > Outbox.retryDelays.count }

  /// Its attempts that count are more than it may have.
  var isSpent: Bool { isRefusedForGood || lossesAlone >= Outbox.lossesAlone }

  /// Nothing is held against it any more.
  mutating func clear() {
    outcomeUnknown = false
    suspect = false
    losses = 0
    lossesAlone = 0
  }

  /// What an update costs beside its metadata, in bytes.
  public static let overhead = 128
  /// What holding it costs, in bytes.
  var size: Int { Self.overhead + (metadata?.count ?? 0) }
}

/// One error in the facilitator's answer. Source: PROTOCOL.md, Response.
public struct FacilitatorError: Sendable, Hashable {
  public var type: String
  public var message: String

  public init(type: String, message: String) {
    self.type = type
    self.message = message
  }
}

/// The facilitator's answer, which carries no id.
public enum FacilitatorAnswer: Sendable, Hashable {
  case success
  case errors([FacilitatorError])
}
