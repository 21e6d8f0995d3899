import Glibc
import JSON
import Measurements
import Messages
import Platform
import Rehearsal

/// Jobs from their requests to their last statuses, so many of them open at once: a job's worker reports all it has as soon
/// as the job is heard.
struct WholeJobs {
  /// With `received` these are seven.
  static let statuses: [JobStatus] = [
    .accepted, .executorReady, .streamingReady, .volumesReady, .executionDone, .completed,
  ]
  private static let openAtOnce = 200

  /// `jobs NUMBER`, a thousand if none is said.
  static func main(_ options: Options) throws {
    let count = options.numbers.first ?? 1000
    if options.subjects.contains("hordelink") {
      try HordelinkSubject.run(options, jobs: openAtOnce) { try measure($0, count, options.seconds) }
    }
    try PeerSubject.run(options, dispatches: true) { try measure($0, count, options.seconds) }
  }

  private static func measure(_ subject: any Subject, _ count: Int, _ seconds: Double) throws {
    let requests = try JobRequests()
    var rates: [Double] = []
    var costs = Costs()
    var first = 0
    var repetitions = Repetitions(seconds: seconds)
    while repetitions.next() {
      let numbers = first..<first + count
      first = numbers.upperBound
      let frames = try numbers.map { try requests.frame($0) }
      try subject.processes.waitUntilQuiet()
      let before = try subject.processes.times()
      var run = Run(subject: subject, numbers: numbers, frames: frames)
      let elapsed = try run.run()
      try subject.waitUntilGone(numbers)
      costs.note(try subject.processes.times() - before, count: Double(count))
      rates.append(Double(count) / Double(elapsed) * 1e9)
      Terminal.complain("  \(subject.name): \(Int(rates.last ?? 0)) jobs a second")
    }
    Figure("jobs", subject.name, subject.parameters, "jobs a second", "1/s", rates).print()
    costs.print("jobs", subject.name, subject.parameters, "CPU a job")
  }

  /// One repetition.
  private struct Run {
    let subject: any Subject
    let numbers: Range<Int>
    let frames: [[UInt8]]
    var asked = 0
    /// Those whose channels are not known to be heard yet.
    var opening: Set<Int> = []
    /// What a worker has sent and is not answered for.
    var reporting: [Int: Report] = [:]

    struct Report {
      var lane: Lane
      var missing: Int
      var bytes: [UInt8] = []
    }

    /// - Returns: nanoseconds from the first request to the last acceptance.
    mutating func run() throws -> Int64 {
      let acceptances = Acceptances(first: numbers.lowerBound, count: numbers.count)
      subject.sink.expect(acceptances)
      let start = Clock.bootNanoseconds
      let deadline = start + 120_000_000_000
      var done = 0
      while done < numbers.count {
        try ask(upTo: min(numbers.count, done + WholeJobs.openAtOnce))
        for job in try subject.heard(opening) where opening.remove(job) != nil { try report(job) }
        done += try end()
        guard Clock.bootNanoseconds < deadline else {
          throw RehearsalError("\(numbers.count - done) of \(numbers.count) jobs have not ended within two minutes")
        }
      }
      try subject.sink.wait(for: numbers.count * (1 + WholeJobs.statuses.count))
      try acceptances.check([.received] + WholeJobs.statuses)
      return acceptances.end - start
    }

    private mutating func ask(upTo end: Int) throws {
      guard end > asked else { return }
      try subject.sink.send(frames[asked..<end])
      opening.formUnion(numbers.lowerBound + asked..<numbers.lowerBound + end)
      asked = end
    }

    /// A worker of its own, which says everything at once.
    private mutating func report(_ job: Int) throws {
      let lanes = try subject.lanes(job..<job + 1)
      let portion = try subject.portion(WholeJobs.statuses, of: job, in: job..<job + 1)
      let lane = lanes[portion.lane]
      let count = portion.bytes.withUnsafeBytes {
        Glibc.send(lane.socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count == portion.bytes.count else { throw SystemError("send", "what a worker of job \(job) has to say") }
      reporting[job] = Report(lane: lane, missing: portion.updates)
    }

    /// Lets the workers go that have all their answers; returns how many.
    private mutating func end() throws -> Int {
      var ended = 0
      for (job, var report) in reporting {
        guard let more = try report.lane.socket.read(upTo: 4096) else { continue }
        guard !more.isEmpty else { throw RehearsalError("a worker of job \(job) was hung up on with answers to come") }
        report.bytes += more
        while let length = try report.lane.answers.length(report.bytes[...]) {
          report.bytes.removeFirst(length)
          report.missing -= 1
        }
        reporting[job] = report.missing == 0 ? nil : report
        if report.missing == 0 { ended += 1 }
      }
      return ended
    }
  }
}
