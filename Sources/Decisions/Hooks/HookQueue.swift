import Messages

/// A verified cheat report on record, until the hook has taken it.
public struct CheatReport: Sendable, Hashable {
  public var number: UInt64
  /// JSON, exactly as received.
  public var body: [UInt8]
  /// By which the same report is known again.
  public var signatureHash: [UInt8]

  public init(number: UInt64, body: [UInt8], signatureHash: [UInt8]) {
    self.number = number
    self.body = body
    self.signatureHash = signatureHash
  }
}

/// Runs the hook for each cheat report until it exits with 0: a few at a time, each with a backoff of its own, so
/// that one it cannot take holds up none of the others.
struct HookQueue: Sendable {
  /// How many run at once.
  static let concurrency = 4

  private struct Entry: Sendable {
    var report: CheatReport
    var backoff = Backoff(first: .seconds(1), cap: .seconds(300))
    var due: Instant
    var runs = false
  }

  private var entries: [UInt64: Entry] = [:]

  var count: Int { entries.count }
  private(set) var bytes = 0

  func contains(signatureHash: [UInt8]) -> Bool {
    entries.values.contains { $0.report.signatureHash == signatureHash }
  }

  mutating func put(_ report: CheatReport, at now: Instant) {
    bytes += report.body.count
    entries[report.number] = Entry(report: report, due: now)
  }

  /// The next report for which the hook is to be run.
  mutating func next(at now: Instant) -> CheatReport? {
    guard entries.values.count(where: \.runs) < Self.concurrency else { return nil }
    let waiting = entries.filter { !$0.value.runs && $0.value.due <= now }
    guard let number = waiting.min(by: { ($0.value.due, $0.key) < ($1.value.due, $1.key) })?.key else { return nil }
    entries[number]?.runs = true
    return entries[number]?.report
  }

  /// The hook has ended. Returns how long until it is run again, or nil when it has taken the report.
  mutating func exited(_ number: UInt64, success: Bool, at now: Instant, dice: inout Dice) -> Duration? {
    guard var entry = entries[number] else { return nil }
    guard !success else {
      entries[number] = nil
      bytes -= entry.report.body.count
      return nil
    }
    let delay = entry.backoff.next(&dice)
    entry.due = now + delay
    entry.runs = false
    entries[number] = entry
    return delay
  }

  /// When `next` may have something that it has not now.
  var nextDeadline: Instant? {
    guard entries.values.count(where: \.runs) < Self.concurrency else { return nil }
    return entries.values.filter { !$0.runs }.map(\.due).min()
  }
}
