import JSON
import Measurements
import Messages
import Platform
import Rehearsal
import WorkerClient

/// From a job's request to its command's running: of one, and of many that are asked for at once. The original's and the
/// peer's is a task in the queue of a broker.
struct Dispatch {
  private static let many = 200

  /// `dispatch`
  static func main(_ options: Options) throws {
    if options.subjects.contains("hordelink") {
      try HordelinkSubject.run(options, jobs: many) { subject in
        try measure(subject, options.seconds, "command running") { numbers in
          try subject.waitUntilStarted(numbers.count).map(\.time).max() ?? 0
        }
      }
    }
    try PeerSubject.run(options, dispatches: true) { subject in
      try measure(subject, options.seconds, "task in the queue") { try subject.waitUntilDispatched($0) }
    }
  }

  private static func measure<Measured: Subject>(
    _ subject: Measured, _ seconds: Double, _ what: String, _ dispatched: (Range<Int>) throws -> Int64
  ) throws {
    var one: [Double] = []
    var all: [Double] = []
    var first = 0
    let requests = try JobRequests()
    func time(_ count: Int) throws -> Double {
      let numbers = first..<first + count
      first = numbers.upperBound
      let acceptances = Acceptances(first: numbers.lowerBound, count: count)
      subject.sink.expect(acceptances)
      let frames = try numbers.map { try requests.frame($0) }
      let start = try subject.sink.send(frames)
      let elapsed = try dispatched(numbers) - start
      try subject.sink.wait(for: count)
      let lanes = try subject.lanes(numbers)
      let portions = try numbers.map { try subject.portion(Burst.statuses, of: $0, in: numbers) }
      let load = try Load(lanes, portions)
      try load.start()
      _ = try load.wait()
      try subject.sink.wait(for: count * (1 + Burst.statuses.count))
      try acceptances.check([.received] + Burst.statuses)
      return Double(elapsed) / 1e6
    }
    var repetitions = Repetitions(seconds: seconds / 2, atLeast: 50)
    while repetitions.next() { one.append(try time(1)) }
    repetitions = Repetitions(seconds: seconds / 2)
    while repetitions.next() {
      all.append(try time(many))
      try subject.waitUntilGone(first - many..<first)
    }
    Figure("dispatch", subject.name, subject.parameters, "request to \(what)", "ms", one).print()
    Figure("dispatch", subject.name, subject.parameters, "\(many) requests to the last \(what)", "ms", all).print()
  }
}
