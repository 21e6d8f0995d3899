import Glibc
import JSON
import Messages
import Platform
import Redis
import Rehearsal

/// A client in the shape of the original, beside a redis-server through which its workers report.
final class PeerSubject: Subject {
  enum Layer: String, CaseIterable {
    case pubsub
    case core
  }

  let name = "peer"
  let sink: Sink
  let layer: Layer
  private let redis: RedisProcess
  private let process: RunningProcess
  private let folder: String
  private static let connections = 4
  private var added: Int64

  var parameters: [JSONMember] { [JSONMember("layer", .string(layer.rawValue))] }

  /// Starts it and waits until it is connected.
  /// - Parameter dispatches: whether each job becomes a Celery task.
  init(_ layer: Layer, sink: Sink, dispatches: Bool) throws {
    (self.layer, self.sink) = (layer, sink)
    let environment = ProcessTable.environment
    let python = environment["HORDELINK_PEER_PYTHON"] ?? ".build/python-peer/bin/python"
    let script = environment["HORDELINK_PEER"] ?? "Benchmarks/Peer/peer.py"
    guard access(python, X_OK) == 0, access(script, R_OK) == 0 else {
      throw RehearsalError(
        "\(python) or \(script) is not there; run script/peer-environment, or name them in HORDELINK_PEER_PYTHON and "
          + "HORDELINK_PEER")
    }
    added = Clock.bootNanoseconds / 1000
    redis = try RedisProcess(["--maxclients", "10000"])
    folder = try Rehearsal.makeFolder("peer-")
    let authentication =
      #"{"message_type":"V0AuthenticationRequest","public_key":""# + String(repeating: "0", count: 64)
      + #"","signature":"0x"# + String(repeating: "0", count: 128) + #""}"#
    try Rehearsal.write(Array(authentication.utf8), to: folder + "/authentication", mode: 0o600)
    let request = SpawnRequest(
      executable: python,
      arguments: [python, script, sink.url, folder + "/authentication", "unix://\(redis.socket)", layer.rawValue]
        + (dispatches ? ["--dispatch"] : []),
      environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"])
    process = try RunningProcess(pid: try request.spawn())
    try sink.waitUntilConnected()
  }

  /// Starts one over each of the layers that are asked for, and ends it with what was done with it.
  static func run(_ options: Options, dispatches: Bool = false, _ body: (PeerSubject) throws -> Void) throws {
    guard options.subjects.contains("peer") else { return }
    for layer in options.layers {
      let sink = try Sink()
      defer { sink.tearDown() }
      let subject = try PeerSubject(layer, sink: sink, dispatches: dispatches)
      defer { subject.tearDown() }
      try body(subject)
    }
  }

  /// redis-server is the workers' as much as the peer's, and told apart.
  var processes: Processes { Processes(roots: [("peer", process.pid), ("redis-server", redis.pid)]) }
  var pid: pid_t { process.pid }

  func waitUntilHeard(_ jobs: Range<Int>) throws {
    guard layer == .pubsub else { return }
    let wanted = Set(jobs.map { RedisChannelSettings.channel(JobRequests.id($0)) })
    try poll("the peer's subscriptions") { wanted.isSubset(of: try redis.channels) }
  }

  /// It says `received` once it has subscribed.
  func heard(_ jobs: Set<Int>) throws -> [Int] {
    usleep(1000)
    return sink.look { acceptances in jobs.filter { !acceptances.statuses(of: $0).isEmpty } }
  }

  func lanes(_ jobs: Range<Int>) throws -> [Lane] {
    try (0..<min(Self.connections, jobs.count)).map { _ in
      Lane(socket: try UnixSocket.connect(to: redis.socket), answers: layer == .pubsub ? .publications : .additions)
    }
  }

  func portion(_ statuses: [JobStatus], of job: Int, in jobs: Range<Int>) throws -> Portion {
    let id = JobRequests.id(job)
    var bytes: [UInt8] = []
    for status in statuses {
      let message = RedisClient.message(id, status, .null)
      switch layer {
      case .pubsub:
        bytes += RedisCommand("PUBLISH", RedisChannelSettings.channel(id)).with(message).encoded
      case .core:
        // What is sent at one moment is still to come out in its order.
        added += 1
        let commands = RedisClient.addition(message, to: RedisClient.key(of: id), at: Double(added) / 1e6)
        bytes += commands.flatMap(\.encoded)
      }
    }
    return Portion(
      lane: (job - jobs.lowerBound) % min(Self.connections, jobs.count), bytes: bytes, updates: statuses.count)
  }

  /// Waits until the tasks of these jobs are in the queue, and takes them out of it.
  /// - Returns: when the last was seen there, in nanoseconds since boot.
  func waitUntilDispatched(_ jobs: Range<Int>) throws -> Int64 {
    let deadline = Clock.bootNanoseconds + 120_000_000_000
    while true {
      guard case .integer(let length) = try redis.command("LLEN", Self.queue) else {
        throw RehearsalError("redis-server does not say how long \(Self.queue) is")
      }
      let now = Clock.bootNanoseconds
      if length >= jobs.count {
        _ = try redis.command("DEL", Self.queue)
        return now
      }
      guard now < deadline else {
        throw RehearsalError("\(length) of \(jobs.count) tasks are in the queue after 120 s")
      }
      usleep(50)
    }
  }

  /// Of Celery's messages. Source: PROTOCOL.md, Celery.
  private static let queue = "organic_jobs"

  /// Nothing announces that a coroutine has ended, and it never unsubscribes.
  func waitUntilGone(_ jobs: Range<Int>) throws { try processes.waitUntilQuiet() }

  func tearDown() {
    process.signal(SIGTERM)
    if (try? process.wait(milliseconds: 5000)) == nil { process.signal(SIGKILL) }
    redis.tearDown()
    Rehearsal.removeTree(folder)
  }
}
