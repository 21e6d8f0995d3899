import CHiredis
import Glibc
import Messages
import Platform
import Redis
import RedisReading

/// Why the broker has not done what it was asked for. It may do so later.
struct BrokerFailure: Error, CustomStringConvertible {
  var description: String
}

/// A connection to the broker on which everything waits: hiredis's own.
final class Broker {
  private static let connectSeconds = 5
  private static let answerSeconds = 10
  private static let wholeAnswerSeconds = 30

  private let server: RedisServer
  private let context: UnsafeMutablePointer<redisContext>
  private let reader: RedisReader
  /// The answer to a script: a number for each task, or a refusal. In bytes.
  private static let longestAnswer = 1 << 16

  /// Connects, and says who we are there.
  init(_ server: RedisServer) throws(BrokerFailure) {
    let patience = timeval(tv_sec: Self.connectSeconds, tv_usec: 0)
    let connected =
      switch server.place {
      case .address(let host, let port), .name(let host, let port):
        redisConnectWithTimeout(host, Int32(clamping: port), patience)
      case .socket(let path): redisConnectUnixWithTimeout(path, patience)
      }
    guard let connected else { throw BrokerFailure(description: "no memory for a connection to \(server)") }
    self.server = server
    context = connected
    do throws(RedisProtocolError) { reader = try RedisReader(limit: Self.longestAnswer) } catch {
      throw BrokerFailure(description: error.description)
    }
    if context.pointee.err != 0 {
      throw BrokerFailure(description: "cannot connect to \(server): \(reason); start it, or correct its address")
    }
    redisSetTimeout(context, timeval(tv_sec: Self.answerSeconds, tv_usec: 0))
    for command in server.greeting { _ = try answer(to: command) }
  }

  deinit { redisFree(context) }

  /// Sends a command and waits for what the broker says, for ten seconds without a byte and half a minute in all.
  func answer(to command: RedisCommand) throws(BrokerFailure) -> RedisReply {
    let reply: RedisReply
    do {
      try send(command)
      reply = try read()
    } catch {
      throw BrokerFailure(description: "\(server) gives no answer: \(error); see whether it is well")
    }
    if let refusal = reply.refusal {
      throw BrokerFailure(
        description: "\(server) refuses: \(Terminal.printable(refusal, limit: 300)); see its log, "
          + "and that it takes writes from the user whose name and password it is given")
    }
    return reply
  }

  private func send(_ command: RedisCommand) throws(BrokerFailure) {
    let bytes = command.encoded
    let appended = bytes.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { redisAppendFormattedCommand(context, $0.baseAddress, $0.count) }
    }
    guard appended == REDIS_OK else { throw BrokerFailure(description: reason) }
    var isDone: Int32 = 0
    while isDone == 0 {
      guard redisBufferWrite(context, &isDone) == REDIS_OK else { throw BrokerFailure(description: reason) }
    }
  }

  /// Reads one answer. hiredis's own reading would take whatever is sent.
  private func read() throws -> RedisReply {
    let end = Clock.bootNanoseconds + Int64(Self.wholeAnswerSeconds) * 1_000_000_000
    while true {
      if let reply = try reader.next() { return reply }
      guard Clock.bootNanoseconds < end else {
        throw BrokerFailure(description: "no whole one for \(Self.wholeAnswerSeconds) s")
      }
      var bytes = [UInt8](repeating: 0, count: 16_384)
      let count = recv(context.pointee.fd, &bytes, bytes.count, 0)
      if count < 0, errno == EINTR { continue }
      // What the kernel calls a socket's timeout.
      if count < 0, errno == EAGAIN { throw BrokerFailure(description: "nothing for \(Self.answerSeconds) s") }
      guard count >= 0 else { throw BrokerFailure(description: String(cString: strerror(errno))) }
      guard count > 0 else { throw BrokerFailure(description: "it has closed the connection") }
      try reader.feed(Array(bytes[..<count]))
    }
  }

  /// What hiredis says of the last error.
  private var reason: String {
    let text = withUnsafeBytes(of: context.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return text == String(cString: strerror(EAGAIN)) ? "nothing for \(Self.answerSeconds) s" : text
  }
}
