import Glibc
import MessagePack
import Messages
import Platform
import Redis
import RedisReading
import Rehearsal
import WorkerClient

/// A redis-server of Debian's in a folder of its own, on a Unix socket and a port of the loopback interface; and what the
/// senders of channels_redis do there.
package final class RedisProcess {
  package static let program = "/usr/bin/redis-server"
  package static var isThere: Bool { access(program, X_OK) == 0 }

  package let folder: String
  package let port: Int
  private let arguments: [String]
  private var process: RunningProcess

  /// - Parameter arguments: more of redis-server's.
  package init(_ arguments: [String] = []) throws {
    folder = try Rehearsal.makeFolder("redis-")
    port = Int.random(in: 20_000...30_000)
    self.arguments = arguments
    process = try Self.start(folder, port, arguments)
    try waitUntilItAnswers()
  }

  private static func start(_ folder: String, _ port: Int, _ more: [String]) throws -> RunningProcess {
    let words =
      [
        program, "--dir", folder, "--port", "\(port)", "--bind", "127.0.0.1", "--unixsocket", folder + "/redis.sock",
        "--save", "", "--loglevel", "warning",
      ] + more
    var request = SpawnRequest(executable: program, arguments: words, environment: ["PATH=/usr/bin:/bin", "LANG=C"])
    let log = open(folder + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    let output = Descriptor(owning: log)
    request.standardOutput = output
    request.standardError = output
    return try RunningProcess(pid: try request.spawn())
  }

  package var socket: String { folder + "/redis.sock" }

  private func waitUntilItAnswers() throws {
    let deadline = Deadline.after(milliseconds: 20_000)
    while deadline.millisecondsLeft > 0 {
      // An error is an answer too: it may want a password first, or load what it had.
      if let reply = try? command("PING"), reply == .status("PONG") || reply.isNoAuth { return }
      if let ending = try process.wait(milliseconds: 50) { throw RehearsalError("redis-server has ended: \(ending)") }
    }
    throw RehearsalError("redis-server does not answer")
  }

  package func signal(_ number: Int32) { process.signal(number) }

  package func kill() throws {
    process.signal(SIGKILL)
    _ = try process.wait(milliseconds: 5000)
  }

  package func startAgain() throws {
    process = try Self.start(folder, port, arguments)
    try waitUntilItAnswers()
  }

  package func tearDown() {
    try? kill()
    Rehearsal.removeTree(folder)
  }

  /// Sends one command on a connection of its own and waits for its answer.
  package func command(_ words: String...) throws -> RedisReply {
    try command(RedisCommand(words.map { Array($0.utf8) }))
  }

  package func command(_ command: RedisCommand) throws -> RedisReply {
    let connection = ByteConnection(try UnixSocket.connect(to: socket))
    let reader = try RedisReader(limit: 64 << 20)
    try connection.send(command.encoded)
    let deadline = Deadline.after(milliseconds: 10_000)
    while deadline.millisecondsLeft > 0 {
      if let reply = try reader.next() { return reply }
      guard try Waiting.readable([connection.socket], milliseconds: deadline.millisecondsLeft)[0] else { break }
      guard let bytes = try connection.read() else { continue }
      guard !bytes.isEmpty else { break }
      try reader.feed(bytes)
    }
    throw RehearsalError("redis-server gives no answer")
  }

  // MARK: The senders of channels_redis

  private static func message(_ job: JobID, _ status: JobStatus) -> [UInt8] {
    func map(_ pairs: [(String, MessagePackValue)]) -> MessagePackValue {
      .map(pairs.map { MessagePackPair(.string($0.0), $0.1) })
    }
    let payload = map([
      ("message_type", .string("V0JobStatusUpdate")), ("uuid", .string(job.description)),
      ("status", .string(status.name)), ("metadata", .null),
    ])
    var encoder = MessagePackEncoder()
    encoder.value(map([("type", .string("job_status_update")), ("payload", payload)]))
    return encoder.bytes
  }

  /// Returns how many heard it.
  @discardableResult
  package func publish(_ status: JobStatus, of job: JobID) throws -> Int64 {
    let name = RedisChannelSettings.channel(job)
    return try command(RedisCommand("PUBLISH", name).with(Self.message(job, status))).integer ?? 0
  }

  package func add(_ status: JobStatus, of job: JobID) throws {
    try add(Self.message(job, status), to: "asgi" + RedisChannelSettings.channel(job))
  }

  /// As the core layer's sender does. Source: PROTOCOL.md, The job's channel.
  package func add(_ message: [UInt8], to key: String) throws {
    let salt = (0..<12).map { _ in UInt8.random(in: 0 ... .max) }
    let score = Double(Clock.bootNanoseconds) / 1e9
    let reply = try command(RedisCommand("ZADD", key, "\(score)").with(salt + message))
    guard reply == .integer(1) else { throw RehearsalError("ZADD: \(reply)") }
  }

  package var keys: [String] {
    get throws {
      try (command("KEYS", "*").elements ?? []).compactMap { $0.bytes.map { String(decoding: $0, as: UTF8.self) } }
    }
  }

  /// The channels that somebody is subscribed to.
  package var channels: [String] {
    get throws {
      try (command("PUBSUB", "CHANNELS").elements ?? []).compactMap {
        $0.bytes.map { String(decoding: $0, as: UTF8.self) }
      }
    }
  }
}

extension RedisReply {
  fileprivate var isNoAuth: Bool { if case .error(let text) = self { text.hasPrefix("NOAUTH") } else { false } }
}
