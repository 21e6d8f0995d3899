import Glibc
import JSON
import Measurements
import Messages
import Platform
import Rehearsal

/// Many open jobs whose workers report all they have at once: how many updates a second get through, and what each costs.
struct Burst {
  /// `received` has been accepted before.
  static let statuses: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]

  let subject: any Subject
  let jobs: Int
  let seconds: Double

  private var rates: [Double] = []
  private var costs = Costs()
  /// How many updates the service has stored with one sync of the disk.
  private var batches: [Double] = []

  init(_ subject: any Subject, jobs: Int, seconds: Double) {
    (self.subject, self.jobs, self.seconds) = (subject, jobs, seconds)
  }

  /// `burst JOBS...`, a thousand if none are named.
  static func main(_ options: Options) throws {
    if options.subjects.contains("sink") { try BareSender.measure("burst", seconds: options.seconds) }
    for jobs in options.numbers.isEmpty ? [1000] : options.numbers {
      if options.subjects.contains("hordelink") {
        try HordelinkSubject.run(options, jobs: jobs) { try measure($0, jobs, options) }
      }
      try PeerSubject.run(options) { try measure($0, jobs, options) }
    }
  }

  private static func measure(_ subject: any Subject, _ jobs: Int, _ options: Options) throws {
    var burst = Burst(subject, jobs: jobs, seconds: options.seconds)
    try burst.measure()
  }

  /// Repeats it for so long, at least five times, each time with new jobs.
  mutating func measure() throws {
    var first = 0
    let requests = try JobRequests()
    var repetitions = Repetitions(seconds: seconds)
    while repetitions.next() {
      let numbers = first..<first + jobs
      first = numbers.upperBound
      try repetition(numbers, requests)
      Terminal.complain("  \(subject.name), \(jobs) jobs: \(Int(rates.last ?? 0)) updates a second")
    }
    let parameters = subject.parameters + [JSONMember("jobs", .integer(jobs))]
    Figure("burst", subject.name, parameters, "updates a second", "1/s", rates).print()
    costs.print("burst", subject.name, parameters, "CPU an update")
    if !batches.isEmpty { Figure("burst", subject.name, parameters, "updates a commit", "", batches).print() }
  }

  private mutating func repetition(_ numbers: Range<Int>, _ requests: JobRequests) throws {
    let acceptances = try subject.open(numbers, requests)
    var lanes = try subject.lanes(numbers)
    let portions = try numbers.map { try subject.portion(Self.statuses, of: $0, in: numbers) }
    let processes = subject.processes
    try processes.waitUntilQuiet()

    let load = try Load(lanes, portions)
    let transactions = try subject.transactions()
    let before = (try processes.times(), subject.sink.processorTime)
    try load.start()
    try subject.sink.wait(for: jobs * (1 + Self.statuses.count))
    let sent = try load.wait()
    let after = (try processes.times(), subject.sink.processorTime)

    try acceptances.check([.received] + Self.statuses)
    let count = Double(jobs * Self.statuses.count)
    rates.append(count / Double(max(acceptances.end, sent.end) - sent.start) * 1e9)
    costs.note(
      after.0 - before.0, others: ["sink": after.1 - before.1, "senders": sent.processorTime], count: count)
    if let transactions, let now = try subject.transactions() {
      batches.append(count / Double(max(1, now - transactions)))
    }
    lanes = []
    try subject.waitUntilGone(numbers)
  }
}
