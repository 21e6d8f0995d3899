import JSON
import Measurements
import Platform

/// The processor time that something took in each repetition, by who used it.
struct Costs {
  private var values: [String: [Double]] = [:]

  /// - Parameters:
  ///   - used: what the subject's processes had in this repetition. A redis-server is there for the workers as well, and is
  ///     left out of the sum.
  ///   - others: the sink's and the senders', which are no part of it either.
  ///   - count: how many updates, or jobs, that was for.
  mutating func note(_ used: Processes.Times, others: [String: Int64] = [:], count: Double) {
    let sum = used.filter { $0.key != "redis-server" }.values.reduce(0, +)
    for (role, time) in used.merging(others, uniquingKeysWith: +).merging(["": sum], uniquingKeysWith: +) {
      values[role, default: []].append(Double(time) / count / 1000)
    }
  }

  /// Prints them, in microseconds.
  /// - Parameter name: such as "CPU an update".
  func print(_ benchmark: String, _ subject: String, _ parameters: [JSONMember], _ name: String) {
    for (role, values) in values.sorted(by: { $0.key < $1.key }) where values.contains(where: { $0 > 0 }) {
      Figure(benchmark, subject, parameters, role.isEmpty ? name : "\(name), \(role)", "µs", values).print()
    }
  }
}

/// A time for which something is repeated, at least so often.
struct Repetitions {
  private let end: Int64
  private var left: Int

  init(seconds: Double, atLeast fewest: Int = 5) {
    end = Clock.bootNanoseconds + Int64(seconds * 1e9)
    left = fewest
  }

  /// Whether there is to be another one.
  mutating func next() -> Bool {
    defer { left -= 1 }
    return left > 0 || Clock.bootNanoseconds < end
  }
}
