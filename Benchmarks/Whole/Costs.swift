import JSON
import Measurements

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
