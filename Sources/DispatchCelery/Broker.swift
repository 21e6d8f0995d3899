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

  private let server: RedisServer
  private let context: UnsafeMutablePointer<redisContext>

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
    if context.pointee.err != 0 {
      throw BrokerFailure(description: "cannot connect to \(server): \(reason); start it, or correct its address")
    }
    redisSetTimeout(context, timeval(tv_sec: Self.answerSeconds, tv_usec: 0))
    for command in server.greeting { _ = try answer(to: command) }
  }

  deinit { redisFree(context) }

  /// Sends a command and waits for what the broker says, for ten seconds without a byte.
  func answer(to command: RedisCommand) throws(BrokerFailure) -> RedisReply {
    let bytes = command.encoded
    let appended = bytes.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { redisAppendFormattedCommand(context, $0.baseAddress, $0.count) }
    }
    var raw: UnsafeMutableRawPointer?
    guard appended == REDIS_OK, redisGetReply(context, &raw) == REDIS_OK, let raw else {
      throw BrokerFailure(description: "\(server) gives no answer: \(reason); see whether it is well")
    }
    defer { freeReplyObject(raw) }
    let reply = RedisReply(raw.assumingMemoryBound(to: redisReply.self).pointee)
    if let refusal = reply.refusal {
      throw BrokerFailure(
        description: "\(server) refuses: \(Terminal.printable(refusal, limit: 300)); see its log, "
          + "and that it takes writes from the user whose name and password it is given")
    }
    return reply
  }

  /// What hiredis says of the last error.
  private var reason: String {
    let text = withUnsafeBytes(of: context.pointee.errstr) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    // What the kernel calls a socket's timeout.
    return text == String(cString: strerror(EAGAIN)) ? "nothing for \(Self.answerSeconds) s" : text
  }
}
