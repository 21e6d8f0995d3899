import Glibc
import JSON
import Messages
import Platform

/// One line that the dev facilitator printed.
public struct FacilitatorEvent: Sendable {
  /// Its place among all events.
  public var index: Int
  /// Such as `accepted`; see `hordelink-dev-facilitator --help`.
  public var name: String
  public var value: JSONValue

  public func text(_ key: String) -> String { value[key]?.stringValue ?? "" }
}

/// A running dev facilitator: what it is told, and what it says.
public final class FacilitatorProcess {
  public let process: RunningProcess
  private let input: Descriptor
  private let output: Descriptor
  private var partial: [UInt8] = []
  /// Everything it has said so far.
  public private(set) var events: [FacilitatorEvent] = []

  /// Starts it with machine-readable events, at a free port of the loopback interface.
  ///
  /// - Parameters:
  ///   - wrapper: a command that runs the one behind it, as nsenter does.
  ///   - log: where its stderr goes.
  public init(
    programs: String, arguments: [String], wrapper: [String] = [], log: Descriptor
  ) throws(SystemError) {
    let stdin = try Files.pipe()
    let stdout = try Files.pipe()
    let command = wrapper + [programs + "/hordelink-dev-facilitator", "--json"] + arguments
    var request = SpawnRequest(
      executable: command[0], arguments: command,
      environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"] + Rehearsal.sanitizerOptions)
    try stdin.reading.setNonBlocking(false)
    request.standardInput = stdin.reading
    request.standardOutput = stdout.writing
    request.standardError = log
    process = try RunningProcess(pid: try request.spawn())
    input = stdin.writing
    output = stdout.reading
  }

  /// Gives it a command: one JSON object on a line of its standard input.
  public func tell(_ members: [(String, JSONValue)]) throws {
    var line = JSONValue.object(members.map { JSONMember($0.0, $0.1) }).text(.compact)
    line.append(UInt8(ascii: "\n"))
    guard write(input.number, line, line.count) == line.count else {
      throw SystemError("write", "to the dev facilitator")
    }
  }

  /// Asks it to send a signed job.
  public func sendJob(_ job: JobID, arguments: [String] = [], limits: [Int64] = [60, 60, 60, 60]) throws {
    try tell([
      ("command", .string("job")), ("uuid", .string(job.description)),
      ("args", .array(arguments.map { .string($0) })),
      ("limits", .array(limits.map { .integer($0) })),
    ])
  }

  /// Waits for the first event that is not older than the given one and fits; nil when the time is up.
  ///
  /// - Parameters:
  ///   - index: of the first event that counts.
  ///   - milliseconds: how long at most.
  public func wait(
    from index: Int = 0, milliseconds: Int, for fits: (FacilitatorEvent) -> Bool
  ) throws -> FacilitatorEvent? {
    let deadline = Clock.bootNanoseconds + Int64(milliseconds) * 1_000_000
    var next = index
    while true {
      while next < events.count {
        if fits(events[next]) { return events[next] }
        next += 1
      }
      let left = deadline - Clock.bootNanoseconds
      guard left > 0, try read(milliseconds: Int32(clamping: left / 1_000_000 + 1)) else { return nil }
    }
  }

  /// The updates it has accepted of a job, in order.
  public func accepted(_ job: JobID) -> [JobStatus] {
    events.filter { $0.name == "accepted" && $0.text("uuid") == job.description }
      .map { JobStatus(name: $0.text("status")) }
  }

  /// Takes in what it has printed since. Returns false when nothing came in that time or it is over.
  @discardableResult
  public func read(milliseconds: Int32) throws -> Bool {
    guard try Waiting.readable([output], milliseconds: milliseconds)[0] else { return false }
    guard let bytes = try output.read(upTo: 65_536), !bytes.isEmpty else { return false }
    partial += bytes
    while let end = partial.firstIndex(of: UInt8(ascii: "\n")) {
      let line = Array(partial[..<end])
      partial.removeSubrange(...end)
      let value = try JSONValue.parse(line, limits: JSONLimits(bytes: 64 << 20))
      events.append(
        FacilitatorEvent(index: events.count, name: value["event"]?.stringValue ?? "", value: value))
    }
    return true
  }
}
