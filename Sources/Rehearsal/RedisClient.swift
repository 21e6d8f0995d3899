import MessagePack
import Messages
import Platform
import Redis
import RedisReading
import WorkerClient

/// A connection to a redis-server of a rehearsal, and what the senders of channels_redis do on it. For one thread.
public final class RedisClient {
  private static let patienceMilliseconds = 10_000

  private let connection: ByteConnection
  private let reader: RedisReader

  /// - Parameter socket: path of the server's Unix socket.
  public init(socket: String) throws {
    connection = ByteConnection(try UnixSocket.connect(to: socket))
    reader = try RedisReader(limit: 64 << 20, elements: 1 << 20)
  }

  /// Sends one command and waits for its answer.
  public func command(_ words: String...) throws -> RedisReply {
    try command(RedisCommand(words.map { Array($0.utf8) }))
  }

  public func command(_ command: RedisCommand) throws -> RedisReply { try commands([command])[0] }

  /// Sends commands together and waits for their answers, ten seconds at most.
  private func commands(_ commands: [RedisCommand]) throws -> [RedisReply] {
    try connection.send(commands.flatMap(\.encoded))
    let deadline = Deadline.after(milliseconds: Self.patienceMilliseconds)
    var replies: [RedisReply] = []
    while true {
      while replies.count < commands.count, let reply = try reader.next() { replies.append(reply) }
      if replies.count == commands.count { return replies }
      guard try Waiting.readable([connection.socket], milliseconds: deadline.millisecondsLeft)[0] else { break }
      guard let bytes = try connection.read() else { continue }
      guard !bytes.isEmpty else { break }
      try reader.feed(bytes)
    }
    throw RehearsalError("redis-server gives no answer")
  }

  // MARK: The senders of channels_redis

  /// The message on a job's channel that reports a status.
  public static func message(_ job: JobID, _ status: JobStatus, _ metadata: MessagePackValue) -> [UInt8] {
    func map(_ pairs: [(String, MessagePackValue)]) -> MessagePackValue {
      .map(pairs.map { MessagePackPair(.string($0.0), $0.1) })
    }
    let payload = map([
      ("message_type", .string("V0JobStatusUpdate")), ("uuid", .string(job.description)),
      ("status", .string(status.name)), ("metadata", metadata),
    ])
    var encoder = MessagePackEncoder()
    encoder.value(map([("type", .string("job_status_update")), ("payload", payload)]))
    return encoder.bytes
  }

  /// Returns how many heard it.
  @discardableResult
  public func publish(_ status: JobStatus, of job: JobID, metadata: MessagePackValue = .null) throws -> Int64 {
    let name = RedisChannelSettings.channel(job)
    return try command(RedisCommand("PUBLISH", name).with(Self.message(job, status, metadata))).integer ?? 0
  }

  public func add(_ status: JobStatus, of job: JobID, metadata: MessagePackValue = .null) throws {
    try add(Self.message(job, status, metadata), to: Self.key(of: job))
  }

  /// Where the core layer keeps a job's messages.
  public static func key(of job: JobID) -> String { "asgi" + RedisChannelSettings.channel(job) }

  /// What the core layer's sender sends, which is answered with four numbers, the third of them 1.
  /// Source: PROTOCOL.md, The job's channel.
  ///
  /// - Parameter seconds: the message's place in the order.
  public static func addition(_ message: [UInt8], to key: String, at seconds: Double) -> [RedisCommand] {
    let salt = (0..<12).map { _ in UInt8.random(in: 0 ... .max) }
    return [
      RedisCommand("ZREMRANGEBYSCORE", key, "0", "\(Int(seconds) - 3600)"), RedisCommand("ZCOUNT", key, "-inf", "+inf"),
      RedisCommand("ZADD", key, "\(seconds)").with(salt + message), RedisCommand("EXPIRE", key, "3600"),
    ]
  }

  /// As the core layer's sender does.
  public func add(_ message: [UInt8], to key: String) throws {
    let replies = try commands(Self.addition(message, to: key, at: Double(Clock.bootNanoseconds) / 1e9))
    guard replies[2] == .integer(1) else { throw RehearsalError("ZADD: \(replies[2])") }
  }
}
