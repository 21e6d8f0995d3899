import Glibc
import JSON
import Messages
import Platform
import Redis
import Rehearsal

/// A client in the shape of the original, beside a redis-server through which its workers report.
final class PeerSubject: Subject {
  enum Layer: String {
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

  var parameters: [JSONMember] { [JSONMember("layer", .string(layer.rawValue))] }

  /// Starts it and waits until it is connected.
  init(_ layer: Layer, sink: Sink) throws {
    (self.layer, self.sink) = (layer, sink)
    let environment = ProcessTable.environment
    let python = environment["HORDELINK_PEER_PYTHON"] ?? ".build/python-peer/bin/python"
    let script = environment["HORDELINK_PEER"] ?? "Benchmarks/Peer/peer.py"
    guard access(python, X_OK) == 0, access(script, R_OK) == 0 else {
      throw RehearsalError(
        "\(python) or \(script) is not there; run script/peer-environment, or name them in HORDELINK_PEER_PYTHON and "
          + "HORDELINK_PEER")
    }
    redis = try RedisProcess(["--maxclients", "10000"])
    folder = try Rehearsal.makeFolder("peer-")
    let authentication =
      #"{"message_type":"V0AuthenticationRequest","public_key":""# + String(repeating: "0", count: 64)
      + #"","signature":"0x"# + String(repeating: "0", count: 128) + #""}"#
    try Rehearsal.write(Array(authentication.utf8), to: folder + "/authentication", mode: 0o600)
    let request = SpawnRequest(
      executable: python,
      arguments: [python, script, sink.url, folder + "/authentication", "unix://\(redis.socket)", layer.rawValue],
      environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"])
    process = try RunningProcess(pid: try request.spawn())
    try sink.waitUntilConnected()
  }

  /// redis-server is the workers' as much as the peer's, and told apart.
  var processes: Processes { Processes(roots: [("peer", process.pid), ("redis-server", redis.pid)]) }
  var pid: pid_t { process.pid }

  func waitUntilHeard(_ jobs: Range<Int>) throws {
    guard layer == .pubsub else { return }
    let wanted = Set(jobs.map { RedisChannelSettings.channel(JobRequests.id($0)) })
    try poll("the peer's subscriptions") { wanted.isSubset(of: try redis.channels) }
  }

  func lanes(_ jobs: Range<Int>) throws -> [Lane] {
    try (0..<Self.connections).map { _ in
      Lane(socket: try UnixSocket.connect(to: redis.socket), answers: .publications)
    }
  }

  func portion(_ statuses: [JobStatus], of job: Int, in jobs: Range<Int>) throws -> Portion {
    let id = JobRequests.id(job)
    var bytes: [UInt8] = []
    for status in statuses {
      bytes +=
        RedisCommand("PUBLISH", RedisChannelSettings.channel(id)).with(RedisClient.message(id, status, .null)).encoded
    }
    return Portion(lane: job % Self.connections, bytes: bytes, updates: statuses.count)
  }

  /// Nothing announces that a coroutine has ended, and it never unsubscribes.
  func waitUntilGone(_ jobs: Range<Int>) throws { try processes.waitUntilQuiet() }

  func tearDown() {
    process.signal(SIGTERM)
    if (try? process.wait(milliseconds: 5000)) == nil { process.signal(SIGKILL) }
    redis.tearDown()
    Rehearsal.removeTree(folder)
  }
}
