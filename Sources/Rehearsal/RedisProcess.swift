import Glibc
import Messages
import Platform
import Redis
import WorkerClient

/// A redis-server of Debian's in a folder of its own, on a Unix socket and a port of the loopback interface.
public final class RedisProcess {
  public static let program = "/usr/bin/redis-server"
  public static var isThere: Bool { access(program, X_OK) == 0 }

  public let folder: String
  public let port: Int
  private let arguments: [String]
  private var process: RunningProcess

  /// - Parameter arguments: more of redis-server's.
  public init(_ arguments: [String] = []) throws {
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

  public var socket: String { folder + "/redis.sock" }

  private func waitUntilItAnswers() throws {
    let deadline = Deadline.after(milliseconds: 20_000)
    while deadline.millisecondsLeft > 0 {
      // An error is an answer too: it may want a password first, or load what it had.
      if let reply = try? command("PING"), reply == .status("PONG") || reply.isNoAuth { return }
      if let ending = try process.wait(milliseconds: 50) { throw RehearsalError("redis-server has ended: \(ending)") }
    }
    throw RehearsalError("redis-server does not answer")
  }

  public var pid: pid_t { process.pid }

  public func signal(_ number: Int32) { process.signal(number) }

  public func kill() throws {
    process.signal(SIGKILL)
    _ = try process.wait(milliseconds: 5000)
  }

  public func startAgain() throws {
    process = try Self.start(folder, port, arguments)
    try waitUntilItAnswers()
  }

  public func tearDown() {
    try? kill()
    Rehearsal.removeTree(folder)
  }

  // MARK: One command each, on a connection of its own

  public func command(_ words: String...) throws -> RedisReply {
    try command(RedisCommand(words.map { Array($0.utf8) }))
  }

  public func command(_ command: RedisCommand) throws -> RedisReply { try RedisClient(socket: socket).command(command) }

  /// Returns how many heard it.
  @discardableResult
  public func publish(_ status: JobStatus, of job: JobID) throws -> Int64 {
    try RedisClient(socket: socket).publish(status, of: job)
  }

  public func add(_ status: JobStatus, of job: JobID) throws { try RedisClient(socket: socket).add(status, of: job) }

  public func add(_ message: [UInt8], to key: String) throws { try RedisClient(socket: socket).add(message, to: key) }

  public var keys: [String] { get throws { try texts("KEYS", "*") } }

  /// The channels that somebody is subscribed to.
  public var channels: [String] { get throws { try texts("PUBSUB", "CHANNELS") } }

  private func texts(_ words: String...) throws -> [String] {
    (try command(RedisCommand(words.map { Array($0.utf8) })).elements ?? []).compactMap {
      $0.bytes.map { String(decoding: $0, as: UTF8.self) }
    }
  }
}

extension RedisReply {
  fileprivate var isNoAuth: Bool { if case .error(let text) = self { text.hasPrefix("NOAUTH") } else { false } }
}
