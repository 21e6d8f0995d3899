/// What a campaign did, and what came of it.
public struct Counts: Sendable, CustomStringConvertible {
  /// By whom it was: `uplink`, `supervisor`, `listener`, `command`, and the failpoints by their names.
  public internal(set) var kills: [String: Int] = [:]
  public internal(set) var jobs = 0
  /// Updates that a worker has an acknowledgement for.
  public internal(set) var acknowledged = 0
  /// Updates that the facilitator has accepted.
  public internal(set) var accepted = 0
  /// Acknowledged and not accepted.
  public internal(set) var lost = 0
  /// Accepted behind one that came after it in its job.
  public internal(set) var outOfOrder = 0
  public internal(set) var twice = 0
  /// Jobs that have not exactly one terminal status, as their last.
  public internal(set) var withoutEnd = 0
  /// What is wrong, in words.
  public internal(set) var findings: [String] = []

  public var killed: Int { kills.values.reduce(0, +) }
  public var isClean: Bool { lost == 0 && outOfOrder == 0 && twice == 0 && withoutEnd == 0 && findings.isEmpty }

  public var description: String {
    let by = kills.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return "\(killed) kills (\(by)); \(jobs) jobs, \(acknowledged) updates acknowledged, \(accepted) accepted: "
      + "\(lost) lost, \(outOfOrder) out of order, \(twice) accepted twice, \(withoutEnd) jobs without exactly one "
      + "terminal status"
  }

  public static func + (left: Counts, right: Counts) -> Counts {
    var sum = left
    sum.kills.merge(right.kills, uniquingKeysWith: +)
    sum.jobs += right.jobs
    sum.acknowledged += right.acknowledged
    sum.accepted += right.accepted
    sum.lost += right.lost
    sum.outOfOrder += right.outOfOrder
    sum.twice += right.twice
    sum.withoutEnd += right.withoutEnd
    sum.findings += right.findings
    return sum
  }
}
