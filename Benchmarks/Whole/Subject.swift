import Glibc
import JSON
import Messages
import Platform
import Rehearsal

/// What is measured, with the sink at its other end.
protocol Subject: AnyObject {
  /// As it is called in the figures.
  var name: String { get }
  /// What tells its figures from others of that name.
  var parameters: [JSONMember] { get }
  var sink: Sink { get }
  var processes: Processes { get }
  /// Waits until all of these jobs' channels are heard. Their requests have been sent.
  func waitUntilHeard(_ jobs: Range<Int>) throws
  /// Connections for reports on these jobs.
  func lanes(_ jobs: Range<Int>) throws -> [Lane]
  /// These reports on a job, in one piece.
  func portion(_ statuses: [JobStatus], of job: Int, in jobs: Range<Int>) throws -> Portion
  /// Those of these jobs that are heard by now and were not before; waits a millisecond for the first.
  func heard(_ jobs: Set<Int>) throws -> [Int]
  /// How many transactions have made something durable so far; nil if nothing is.
  func transactions() throws -> Int?
  /// Waits until nothing is left of jobs that have ended.
  func waitUntilGone(_ jobs: Range<Int>) throws
  func tearDown()
}

/// How many jobs are asked for together where it is not their opening that is measured.
private let openedAtOnce = 250

extension Subject {
  func transactions() throws -> Int? { nil }

  /// The request to it, its acceptance, and all that has to be there before a worker reports.
  func open(_ jobs: Range<Int>, _ requests: JobRequests) throws -> Acceptances {
    let acceptances = Acceptances(first: jobs.lowerBound, count: jobs.count)
    sink.expect(acceptances)
    let frames = try jobs.map { try requests.frame($0) }
    for begin in stride(from: 0, to: jobs.count, by: openedAtOnce) {
      let end = min(jobs.count, begin + openedAtOnce)
      try sink.send(frames[begin..<end])
      try sink.wait(for: end)
      try waitUntilHeard(jobs.lowerBound + begin..<jobs.lowerBound + end)
    }
    return acceptances
  }
}

/// Asks again until it is so; for what nothing announces.
func poll(_ what: String, milliseconds: Int = 120_000, until isSo: () throws -> Bool) throws {
  let deadline = Clock.bootNanoseconds + Int64(milliseconds) * 1_000_000
  while try !isSo() {
    guard Clock.bootNanoseconds < deadline else {
      throw RehearsalError("\(milliseconds / 1000) s are not enough for \(what)")
    }
    usleep(20_000)
  }
}
