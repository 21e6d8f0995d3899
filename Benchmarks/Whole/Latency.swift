import Glibc
import JSON
import Measurements
import Messages
import Platform
import Rehearsal

/// How long an update takes when there is time for it: so many a second, over many jobs, from the worker to the facilitator
/// and from the worker to its acknowledgement.
struct Latency {
  private static let jobs = 200
  /// Nanoseconds from one update to the next: 500 a second.
  private static let interval: Int64 = 2_000_000
  private static let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)]

  /// `latency`
  static func main(_ options: Options) throws {
    if options.subjects.contains("hordelink") {
      try HordelinkSubject.run(options, jobs: jobs) { try measure($0, options.seconds) }
    }
    try PeerSubject.run(options) { try measure($0, options.seconds) }
  }

  private static func measure(_ subject: any Subject, _ seconds: Double) throws {
    var values: [String: [Double]] = [:]
    let requests = try JobRequests()
    var first = 0
    // Each takes two seconds.
    var repetitions = Repetitions(seconds: seconds)
    while repetitions.next() {
      let numbers = first..<first + jobs
      first = numbers.upperBound
      for (name, times) in try repetition(subject, numbers, requests) {
        for (quantile, part) in quantiles {
          values["\(name), \(quantile)", default: []].append(Figure.quantile(part, of: times))
        }
      }
    }
    for (name, values) in values.sorted(by: { $0.key < $1.key }) {
      Figure("latency", subject.name, subject.parameters, name, "ms", values).print()
    }
  }

  /// One round of all statuses: what each update took, in milliseconds.
  private static func repetition(
    _ subject: any Subject, _ numbers: Range<Int>, _ requests: JobRequests
  ) throws -> [String: [Double]] {
    let acceptances = try subject.open(numbers, requests)
    let lanes = try subject.lanes(numbers)
    var updates: [(job: Int, place: Int)] = []
    for place in Burst.statuses.indices { updates += numbers.map { ($0, place) } }
    let portions = try updates.map { try subject.portion([Burst.statuses[$0.place]], of: $0.job, in: numbers) }
    try subject.processes.waitUntilQuiet()
    let load = try Load(lanes, portions, interval: interval)
    try load.start()
    let sent = try load.wait()
    try subject.sink.wait(for: jobs * (1 + Burst.statuses.count))
    try acceptances.check([.received] + Burst.statuses)

    var times: [String: [Double]] = [:]
    var answered = Array(repeating: 0, count: lanes.count)
    for (index, update) in updates.enumerated() {
      let lane = portions[index].lane
      // `received` has been accepted before.
      let accepted = acceptances.time(of: update.job, place: update.place + 1)
      let acknowledged = sent.answered[lane][answered[lane]]
      answered[lane] += 1
      times["to the facilitator", default: []].append(Double(accepted - sent.sent[index]) / 1e6)
      times["to the acknowledgement", default: []].append(Double(acknowledged - sent.sent[index]) / 1e6)
    }
    try subject.waitUntilGone(numbers)
    return times
  }
}
