import Glibc
import JSON
import Measurements
import Messages
import Platform
import Rehearsal

/// An outage: so many updates wait in the record, of jobs that have ended, and then the facilitator is back.
struct Backlog {
  static let statuses: [JobStatus] = [.received] + Burst.statuses

  /// `backlog UPDATES`, a hundred thousand if no number is said.
  static func main(_ options: Options) throws {
    let jobs = max(1, (options.numbers.first ?? 100_000) / statuses.count)
    if options.subjects.contains("sink") { try BareSender.measure("backlog", seconds: options.seconds) }
    guard options.subjects.contains("hordelink") else { return }
    var rates: [Double] = []
    var costs = Costs()
    var repetitions = Repetitions(seconds: options.seconds, atLeast: 3)
    while repetitions.next() {
      try repetition(options, jobs, &rates, &costs)
      Terminal.complain("  hordelink: \(Int(rates.last ?? 0)) updates a second")
    }
    let parameters = [JSONMember("updates", .integer(jobs * statuses.count))]
    Figure("backlog", "hordelink", parameters, "updates a second", "1/s", rates).print()
    costs.print("backlog", "hordelink", parameters, "CPU an update")
  }

  private static func repetition(
    _ options: Options, _ jobs: Int, _ rates: inout [Double], _ costs: inout Costs
  ) throws {
    let sink = try Sink(isThere: false)
    defer { sink.tearDown() }
    let subject = try HordelinkSubject(programs: options.programs, sink: sink, jobs: 1)
    defer { subject.tearDown() }
    try subject.makeRecord { record in
      for job in 0..<jobs { try record.add(JobRequests.id(job), statuses) }
    }
    let acceptances = Acceptances(count: jobs)
    sink.expect(acceptances)
    try subject.rehearsal.startSupervisor()
    _ = try subject.rehearsal.readyChild("uplink", milliseconds: 60_000)
    try subject.processes.waitUntilQuiet()
    let before = (try subject.processes.times(), sink.processorTime)
    try sink.arrive()
    try sink.wait(for: jobs * statuses.count)
    let after = (try subject.processes.times(), sink.processorTime)
    try acceptances.check(statuses)
    let count = Double(jobs * statuses.count)
    costs.note(after.0 - before.0, others: ["sink": after.1 - before.1], count: count)
    rates.append(count / Double(acceptances.end - acceptances.begin) * 1e9)
  }
}
