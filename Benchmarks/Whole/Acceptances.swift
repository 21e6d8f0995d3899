import Messages
import Rehearsal

/// The jobs of one repetition, told by the last digits of their uuids, and what the sink has accepted of each: the
/// statuses in their order, and when each came.
final class Acceptances {
  /// More than there are statuses in any job here.
  private static let room = 12

  let first: Int
  let count: Int
  /// Of all of them.
  private(set) var total = 0
  private var lengths: [UInt8]
  private var statuses: [UInt8]
  private var times: [Int64]

  init(first: Int = 0, count: Int) {
    (self.first, self.count) = (first, count)
    lengths = Array(repeating: 0, count: count)
    statuses = Array(repeating: 0, count: count * Self.room)
    times = Array(repeating: 0, count: count * Self.room)
  }

  /// - Parameters:
  ///   - number: of the job.
  ///   - time: in nanoseconds since boot.
  /// - Returns: whether it belongs here; not if the job is none of these or has had more than there can be.
  func accept(_ status: JobStatus, of number: Int, at time: Int64) -> Bool {
    let index = number - first
    guard index >= 0, index < count, lengths[index] < Self.room else { return false }
    let place = index * Self.room + Int(lengths[index])
    statuses[place] = status.rawValue
    times[place] = time
    lengths[index] += 1
    total += 1
    return true
  }

  /// What was accepted of a job, in order.
  func statuses(of number: Int) -> [JobStatus] {
    let start = (number - first) * Self.room
    return statuses[start..<start + Int(lengths[number - first])].compactMap { JobStatus(rawValue: $0) }
  }

  /// When a job's status was accepted, by its place in the order.
  func time(of number: Int, place: Int) -> Int64 { times[(number - first) * Self.room + place] }

  /// When the last of all was accepted.
  var end: Int64 { times.max() ?? 0 }

  /// When the first of all was accepted.
  var begin: Int64 { times.lazy.filter { $0 > 0 }.min() ?? 0 }

  /// - Throws: which job has something else, or in another order, or twice.
  func check(_ expected: [JobStatus]) throws {
    for number in first..<first + count where statuses(of: number) != expected {
      throw RehearsalError(
        "job \(number) has \(statuses(of: number).map(\.name)) and not \(expected.map(\.name)), in this order and each once"
      )
    }
  }
}
