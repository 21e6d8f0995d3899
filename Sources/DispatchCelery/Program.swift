import CeleryMessages
import Glibc
import Messages
import Platform

/// The program from the order on its standard input to its exit code.
enum Program {
  /// What ends it, and the exit code that says what kind of end it is.
  private struct CannotDispatch: Error, CustomStringConvertible {
    var code: Int32
    var description: String
  }

  static func run() -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    do {
      // Before there is a broker's password in it.
      try Dumpable.off()
      let order = try order()
      print(try carryOut(order))
      return ExitCode.success
    } catch {
      Terminal.complain("hordelink-dispatch-celery: \(error)")
      return switch error {
      case is UnusableOrder: ExitCode.data
      case is BrokerFailure: ExitCode.temporary
      case let error as CannotDispatch: error.code
      default: ExitCode.software
      }
    }
  }

  /// Reads standard input to its end: one frame, and nothing behind it.
  private static func order() throws -> TaskOrder {
    let input = Descriptor(owning: STDIN_FILENO)
    var assembler = FrameAssembler(limit: Limits.taskOrderBytes)
    guard CommandLine.argc == 1, isatty(STDIN_FILENO) == 0, let first = try? input.read(upTo: 65_536), !first.isEmpty
    else {
      throw CannotDispatch(
        code: ExitCode.usage,
        description: "is started by hordelink-supervisor and by nothing else, with an order on its standard input")
    }
    assembler.append(first)
    while let more = try input.read(upTo: 65_536), !more.isEmpty {
      assembler.append(more)
      guard assembler.pendingBytes <= 4 + Limits.taskOrderBytes else { break }
    }
    do {
      guard let body = try assembler.next(), assembler.pendingBytes == 0 else {
        throw CannotDispatch(
          code: ExitCode.software,
          description: "standard input holds less or more than one order; programs of two releases may be installed")
      }
      return try TaskOrder.read(body).message
    } catch let error as FrameError {
      throw CannotDispatch(code: ExitCode.software, description: "the order on standard input: \(error)")
    }
  }

  /// Returns what has come of it, in words.
  private static func carryOut(_ order: TaskOrder) throws -> String {
    let sender = CelerySender(origin: "hordelink@\(hostName)", replyTo: newUUID())
    let messages = try CeleryMessages(order, from: sender)
    let script = try QueueScript(order, messages: order.tasks.map { try messages.message($0, tag: newUUID()) })
    guard let outcomes = script.outcomes(try Broker(order.broker).answer(to: script.command)) else {
      throw BrokerFailure(
        description: "\(order.broker) gives an answer that is none to what it was asked; is it a Redis?")
    }
    let before = outcomes.count { $0 == .pushedBefore }
    if let task = order.tasks.first, order.tasks.count == 1 {
      return before == 0
        ? "task \(task.id) is in the queue \(order.queue)"
        : "task \(task.id) was put into the queue \(order.queue) before"
    }
    return "\(outcomes.count) tasks are in the queue \(order.queue), \(before) of them since before"
  }

  /// Random (RFC 9562, version 4).
  private static func newUUID() -> String {
    var generator = SystemRandomNumberGenerator()
    // A job's id has the form of every UUID.
    return JobID(high: generator.next() & ~0xf000 | 0x4000, low: generator.next() & ~(0xc0 << 56) | 0x80 << 56)
      .description
  }

  private static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
