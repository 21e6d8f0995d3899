import Messages

/// What Uplink counts and measures, from its start on. How things stand now is in `UplinkState`.
///
/// It has no clock: who updates it knows how long things took.
public struct Figures: Sendable, Equatable {
  /// Why a job request starts nothing.
  public enum Refusal: String, Sendable, CaseIterable {
    /// No room, or the service drains or stops.
    case busy
    /// Its signature does not hold, or is that of another job.
    case invalidSignature = "invalid_signature"
    /// A job of that uuid is on record.
    case known
  }

  /// When this Uplink started.
  public let startedAt: WallTime
  /// Jobs that are on record since.
  public var jobsReceived = 0
  public private(set) var jobsRefused: [Refusal: Int] = [:]
  /// Jobs whose terminal status is on record since, by that status.
  public private(set) var jobsEnded: [JobStatus: Int] = [:]
  public var updatesStored = 0
  public var updatesDelivered = 0
  /// Refusals after which an update is tried again.
  public var updatesRetried = 0
  public var updatesDead = 0
  public var specsDelivered = 0
  /// Stored updates that the hook does not get, for want of room.
  public var hookUpdatesDropped = 0
  /// Authenticated connections that are over.
  public var connectionsLost = 0
  /// Attempts that came to no authenticated connection.
  public var attemptsFailed = 0
  /// As the Supervisor counts them, from its own start on.
  public var restarts = ChildRestarts()
  /// Transactions in which the record was written, each with one sync of the disk.
  public var transactions = 0
  /// From asking for a commit until it is durable.
  public var commitTime = Histogram(
    bounds: [500, 1000, 2500, 5000, 10_000, 25_000, 100_000, 500_000, 1_000_000, 10_000_000].map {
      .microseconds($0)
    })
  /// From an update's being stored to the facilitator's accepting it, on the wall clock.
  public var deliveryTime = Histogram(
    bounds: [1, 5, 25, 100, 500, 1000, 5000, 30_000, 300_000, 3_600_000].map { .milliseconds($0) })
  /// From a job's being received to its terminal status.
  public private(set) var jobTime = Histogram(
    bounds: [1, 10, 60, 300, 900, 3600, 7200, 14_400, 43_200, 86_400].map { .seconds($0) })

  public init(startedAt: WallTime) { self.startedAt = startedAt }

  /// A request starts nothing.
  public mutating func refused(_ why: Refusal) { jobsRefused[why, default: 0] += 1 }

  /// A job's terminal status is on record.
  public mutating func ended(_ status: JobStatus, after duration: Duration) {
    jobsEnded[status, default: 0] += 1
    jobTime.observe(duration)
  }
}
