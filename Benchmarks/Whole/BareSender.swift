import Glibc
import Measurements
import Messages
import Platform
import Rehearsal

/// What the sink itself can take: frames that were made before, many in a write, from a client that does nothing but
/// count the answers.
struct BareSender {
  private static let mask: [UInt8] = [0x5a, 0xc3, 0x0f, 0x96]

  /// One update as hordelink would send it, masked.
  private static func frame(_ status: JobStatus, of job: Int) -> [UInt8] {
    let text = Array(
      #"{"message_type":"V0JobStatusUpdate","uuid":"\#(JobRequests.id(job))","status":"\#(status.name)","metadata":null}"#
        .utf8)
    let header: [UInt8] = text.count < 126 ? [0x81, 0x80 | UInt8(text.count)] : [0x81, 0xfe, 0, UInt8(text.count)]
    return header + mask + text.enumerated().map { $1 ^ mask[$0 & 3] }
  }

  /// Sends each of these statuses for every job, as fast as the socket takes them.
  ///
  /// - Returns: from the first write to the last answer, in nanoseconds, and the client's and the sink's processor time.
  static func run(
    _ statuses: [JobStatus], jobs: Range<Int>, sink: Sink
  ) throws -> (elapsed: Int64, own: Int64, sink: Int64) {
    let acceptances = Acceptances(first: jobs.lowerBound, count: jobs.count)
    sink.expect(acceptances)
    let bytes = jobs.flatMap { job in statuses.flatMap { frame($0, of: job) } }
    let socket = try InternetSocket.connect(to: "127.0.0.1", port: sink.port)
    let connection = ByteConnection(socket)
    let poller = try Poller()
    try poller.watch(socket, token: 0, read: true, write: true)
    _ = try poller.wait(timeout: 10_000)
    try connection.send(
      Array("GET \(Sink.path) HTTP/1.1\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".utf8))
    guard try Waiting.readable([socket], milliseconds: 10_000)[0], let response = try connection.read(),
      response.starts(with: "HTTP/1.1 101".utf8)
    else { throw RehearsalError("the sink does not take a WebSocket") }

    let before = (own: ProcessTable.processorTime(ofThread: pthread_self()) ?? 0, sink: sink.processorTime)
    let start = Clock.bootNanoseconds
    var sent = 0
    var missing = jobs.count * statuses.count * SinkConnection.answer.count
    while missing > 0 {
      if sent < bytes.count {
        let end = min(bytes.count, sent + 65_536)
        let count = bytes[sent..<end].withUnsafeBytes {
          Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count < 0, errno != EAGAIN { throw SystemError("send", "to the sink") }
        sent += max(0, count)
      }
      try poller.watch(socket, token: 0, read: true, write: sent < bytes.count)
      for event in try poller.wait(timeout: 10_000) where event.readable {
        guard let answers = try connection.read() else { continue }
        guard !answers.isEmpty else { throw RehearsalError("the sink has hung up") }
        missing -= answers.count
      }
    }
    let elapsed = Clock.bootNanoseconds - start
    let after = (own: ProcessTable.processorTime(ofThread: pthread_self()) ?? 0, sink: sink.processorTime)
    try acceptances.check(statuses)
    return (elapsed, after.own - before.own, after.sink - before.sink)
  }

  /// Runs for so long, and prints what the sink's ceiling is.
  static func measure(_ benchmark: String, seconds: Double) throws {
    let sink = try Sink()
    defer { sink.tearDown() }
    var rates: [Double] = []
    var own: [Double] = []
    var sinks: [Double] = []
    var next = 0
    var repetitions = Repetitions(seconds: seconds)
    while repetitions.next() {
      let jobs = next..<next + 40_000
      next = jobs.upperBound
      let count = Double(jobs.count * Burst.statuses.count)
      let run = try run(Burst.statuses, jobs: jobs, sink: sink)
      rates.append(count / Double(run.elapsed) * 1e9)
      own.append(Double(run.own) / count / 1000)
      sinks.append(Double(run.sink) / count / 1000)
    }
    Figure(benchmark, "sink", [], "updates a second", "1/s", rates).print()
    Figure(benchmark, "sink", [], "CPU an update, sink", "µs", sinks).print()
    Figure(benchmark, "sink", [], "CPU an update, sender", "µs", own).print()
  }
}
