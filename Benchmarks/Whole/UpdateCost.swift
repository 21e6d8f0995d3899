import Glibc
import JSON
import Measurements
import MessagePack
import Messages
import Platform
import Rehearsal
import WorkerClient

/// What one update costs, reported when the one before is acknowledged, as what the service holds grows: the backlog, the
/// open jobs, the update's metadata.
struct UpdateCost {
  private static let backlogs = [0, 100_000, 1_000_000]
  private static let openJobs = [10, 100, 1000]
  private static let metadata = [1 << 10, 16 << 10, 256 << 10, 1 << 20, 8 << 20]
  /// Jobs that report in one repetition.
  private static let reporting = 20

  /// `cost`
  static func main(_ options: Options) throws {
    guard options.subjects.contains("hordelink") else { return }
    try measureBacklogs(options)
    for jobs in openJobs { try measure(jobs: jobs, options) }
    for size in metadata { try measure(metadata: size, options) }
  }

  private var times: [Double] = []
  private var costs = Costs()

  /// Each status of each of these jobs, one at a time.
  private mutating func note(_ subject: HordelinkSubject, _ jobs: Range<Int>, _ metadata: MessagePackValue? = nil)
    throws
  {
    let workers = jobs.map {
      WorkerClient(socketPath: subject.rehearsal.workerSocket(JobRequests.id($0)), job: JobRequests.id($0))
    }
    for worker in workers { try worker.connect() }
    try subject.processes.waitUntilQuiet()
    let before = try subject.processes.times()
    let start = Clock.bootNanoseconds
    for status in Burst.statuses {
      for worker in workers {
        guard case .stored = try worker.send(status, metadata: metadata) else {
          throw RehearsalError("\(status.name) is not stored")
        }
      }
    }
    let elapsed = Clock.bootNanoseconds - start
    let count = Double(jobs.count * Burst.statuses.count)
    times.append(Double(elapsed) / count / 1000)
    // What is still under way to the facilitator belongs to these updates.
    try subject.processes.waitUntilQuiet()
    costs.note(try subject.processes.times() - before, count: count)
  }

  private func print(_ parameter: String, _ value: Int) {
    let parameters = [JSONMember(parameter, .integer(value))]
    Figure("cost", "hordelink", parameters, "time an update", "µs", times).print()
    costs.print("cost", "hordelink", parameters, "CPU an update")
  }

  /// The facilitator is away, and the services take turns, so that what comes and goes on the machine meets all of them.
  private static func measureBacklogs(_ options: Options) throws {
    let sink = try Sink(isThere: false)
    defer { sink.tearDown() }
    let repetitions = max(5, Int(options.seconds * 2))
    var subjects: [HordelinkSubject] = []
    defer { for subject in subjects { subject.tearDown() } }
    let open = 0..<repetitions * reporting
    for backlog in backlogs {
      let subject = try HordelinkSubject(programs: options.programs, sink: sink, jobs: open.count)
      subjects.append(subject)
      try subject.makeRecord { record in
        for job in open { try record.add(JobRequests.id(job), [.received]) }
        for job in 0..<backlog / Backlog.statuses.count {
          try record.add(JobRequests.id(open.count + job), Backlog.statuses)
        }
      }
      try subject.rehearsal.startSupervisor()
      _ = try subject.waitUntilStarted(open.count)
    }
    // What was written before is not to be synced by what is measured.
    sync()
    var costs = backlogs.map { _ in UpdateCost() }
    for repetition in 0..<repetitions {
      for (index, subject) in subjects.enumerated() {
        try costs[index].note(subject, repetition * reporting..<(repetition + 1) * reporting)
      }
    }
    for (backlog, cost) in zip(backlogs, costs) { cost.print("backlog", backlog) }
  }

  private static func measure(jobs: Int, _ options: Options) throws {
    try HordelinkSubject.run(options, jobs: jobs) { subject in
      var cost = UpdateCost()
      let requests = try JobRequests()
      var first = 0
      var repetitions = Repetitions(seconds: options.seconds)
      while repetitions.next() {
        let numbers = first..<first + jobs
        first = numbers.upperBound
        _ = try subject.open(numbers, requests)
        // As long as the others wait, the number of open jobs is what it is to be.
        let reporting = min(reporting, jobs)
        for begin in stride(from: numbers.lowerBound, to: numbers.upperBound, by: reporting).prefix(5) {
          try cost.note(subject, begin..<begin + reporting)
        }
        try subject.end(numbers.dropFirst(min(jobs, 5 * reporting)))
        try subject.waitUntilGone(numbers)
      }
      cost.print("jobs", jobs)
    }
  }

  private static func measure(metadata size: Int, _ options: Options) throws {
    try HordelinkSubject.run(options, jobs: 10) { subject in
      var cost = UpdateCost()
      let requests = try JobRequests()
      let output = String(repeating: "x", count: size)
      let metadata = MessagePackValue.map([MessagePackPair(.string("comment"), .string(output))])
      var first = 0
      var repetitions = Repetitions(seconds: options.seconds)
      while repetitions.next() {
        let numbers = first..<first + 4
        first = numbers.upperBound
        _ = try subject.open(numbers, requests)
        try cost.note(subject, numbers, metadata)
        try subject.waitUntilGone(numbers)
      }
      cost.print("metadata", size)
    }
  }
}
