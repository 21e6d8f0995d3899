import Glibc
import MessagePack
import Messages
import Platform
import Synchronization

/// The other end of a job's socket: serves one connection after the other, each by the next of its scripts.
///
/// A connection is closed at the end of its script. After the last script nobody listens any more.
final class ScriptedServer: Sendable {
  typealias Script = @Sendable (Connection) -> Void

  /// The statuses that have come, over all connections, in order.
  private let log = Mutex<[String]>([])

  var received: [String] { log.withLock { $0 } }

  init(at path: String, _ scripts: [Script]) throws {
    let listening = try UnixSocket.listen(at: path, mode: 0o600)
    try listening.setNonBlocking(false)
    try BackgroundThread.start { [self] in
      for script in scripts {
        guard let socket = try? UnixSocket.accept(listening) else { break }
        try? socket.setNonBlocking(false)
        script(Connection(socket, server: self))
      }
    }
  }

  final class Connection {
    private let frames: FrameConnection
    private let server: ScriptedServer

    init(_ socket: Descriptor, server: ScriptedServer) {
      frames = FrameConnection(socket, limit: 1 << 26, outgoingLimit: .max)
      self.server = server
    }

    /// The next request; nil when the client is gone.
    func receive() -> MessagePackValue? {
      while true {
        guard let body = try? frames.nextBody() else {
          guard (try? frames.fill()) == true, !frames.atEnd else { return nil }
          continue
        }
        guard let request = try? MessagePackValue.decode(body) else { return nil }
        if case .string(let status) = request["payload"]?["status"] {
          server.log.withLock { $0.append(status) }
        }
        return request
      }
    }

    func answer(_ request: MessagePackValue?, _ rest: [MessagePackPair] = ok) {
      let id = request?["id"].map { [MessagePackPair(.string("id"), $0)] } ?? []
      write(frame(.map(id + rest)))
    }

    func write(_ bytes: some Collection<UInt8>) { try? frames.send(Array(bytes)) }

    /// Acknowledges whatever comes until the client is gone.
    func acknowledgeAll() { while let request = receive() { answer(request) } }
  }
}

let ok = [MessagePackPair(.string("ok"), .bool(true))]

func refusal(_ code: String, _ message: String) -> [MessagePackPair] {
  [
    MessagePackPair(.string("ok"), .bool(false)),
    MessagePackPair(
      .string("error"),
      .map([
        MessagePackPair(.string("code"), .string(code)), MessagePackPair(.string("message"), .string(message)),
      ])),
  ]
}

func frame(_ value: MessagePackValue) -> [UInt8] {
  var encoder = MessagePackEncoder()
  encoder.value(value)
  return encoder.framedBytes
}

/// A path for a socket in a directory of its own, which is removed afterwards.
func withSocketPath<Result>(_ body: (String) throws -> Result) throws -> Result {
  var template = Array("/tmp/worker-client-XXXXXX".utf8CString)
  guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", "/tmp") }
  let directory = String(cString: made)
  let path = directory + "/worker.sock"
  defer {
    unlink(path)
    rmdir(directory)
  }
  return try body(path)
}
