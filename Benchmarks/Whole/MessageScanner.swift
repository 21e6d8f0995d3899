import Glibc
import Messages

/// What the sink tells apart among the messages it is sent, by their first bytes: hordelink and the original both write
/// the fields in one order and without spaces (PROTOCOL.md, The facilitator's WebSocket).
enum ClientMessage {
  case update(job: Int, JobStatus)
  case authentication
  /// A heartbeat or machine specs.
  case unanswered
  case unknown
}

struct MessageScanner {
  private let update = Array(#"{"message_type":"V0JobStatusUpdate","uuid":""#.utf8)
  private let status = Array(#"","status":""#.utf8)
  private let authentication = Array(#"{"message_type":"V0AuthenticationRequest""#.utf8)
  private let unanswered = [#"{"message_type":"V0Heartbeat""#, #"{"message_type":"V0MachineSpecsUpdate""#]
    .map { Array($0.utf8) }
  /// What every job's uuid here begins with; twelve digits follow.
  private let jobs = Array(JobRequests.id(0).description.utf8.prefix(24))
  private let names = JobStatus.allCases.map { (status: $0, name: Array($0.name.utf8)) }

  func scan(_ head: UnsafeRawBufferPointer) -> ClientMessage {
    let uuid = update.count
    let digits = uuid + jobs.count
    let separator = uuid + 36
    let name = separator + status.count
    guard Self.has(update, head, at: 0), Self.has(jobs, head, at: uuid), Self.has(status, head, at: separator),
      let job = Self.number(head[digits..<separator]), let status = statusName(head, at: name)
    else {
      if Self.has(authentication, head, at: 0) { return .authentication }
      return unanswered.contains { Self.has($0, head, at: 0) } ? .unanswered : .unknown
    }
    return .update(job: job, status)
  }

  private func statusName(_ head: UnsafeRawBufferPointer, at place: Int) -> JobStatus? {
    for (status, name) in names
    where place + name.count < head.count && head[place + name.count] == UInt8(ascii: "\"")
      && Self.has(name, head, at: place)
    {
      return status
    }
    return nil
  }

  private static func has(_ text: [UInt8], _ head: UnsafeRawBufferPointer, at place: Int) -> Bool {
    guard place + text.count <= head.count, let base = head.baseAddress else { return false }
    return memcmp(base + place, text, text.count) == 0
  }

  private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> Int? {
    var number = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | Int(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | Int(digit - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return number
  }
}
