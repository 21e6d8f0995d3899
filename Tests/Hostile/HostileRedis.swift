import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Synchronization

/// A Redis that does what a test says, to the byte. Each connection is served by a thread of its own.
final class HostileRedis: Sendable {
  private let server: SilentServer
  private let open = Mutex<[Int32: Descriptor]>([:])

  /// - Parameter serve: what becomes of a connection; it ends when that returns.
  init(_ serve: @escaping @Sendable (HostileRedisConnection) throws -> Void) throws {
    server = try SilentServer()
    try BackgroundThread.start { [self] in
      while let socket = server.accept() {
        open.withLock { $0[socket.number] = socket }
        try? BackgroundThread.start { [self] in
          try? serve(HostileRedisConnection(socket))
          shutdown(socket.number, Int32(SHUT_RDWR))
          open.withLock { $0[socket.number] = nil }
        }
      }
    }
  }

  var port: Int { server.port }

  func close() {
    server.close()
    for socket in open.withLock({ Array($0.values) }) { shutdown(socket.number, Int32(SHUT_RDWR)) }
  }
}

/// One connection to a `HostileRedis`. Everything here waits for the socket, and throws when the other side has ended it.
final class HostileRedisConnection: Sendable {
  private let socket: Descriptor

  init(_ socket: Descriptor) { self.socket = socket }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { throw SystemError("send", "to a client of the hostile Redis") }
      rest = rest.dropFirst(sent)
    }
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// Sends this again and again.
  /// - Parameter limit: how many bytes at most.
  func flood(_ text: String, upTo limit: Int) throws {
    let piece = Array(repeatElement(Array(text.utf8), count: max(1, 65_536 / text.utf8.count)).joined())
    var sent = 0
    while sent < limit {
      try send(piece)
      sent += piece.count
    }
  }

  /// Waits for the next words of the client, and returns them as they are.
  func words() throws -> String {
    guard let bytes = try socket.read(upTo: 65_536), !bytes.isEmpty else {
      throw RehearsalError("a client of the hostile Redis has gone")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Lets a Listener subscribe, as a server of the pubsub layer does.
  func subscribe() throws {
    _ = try words()
    try send("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
  }

  /// Waits until the client ends the connection.
  func waitForEnd() throws { while true { _ = try words() } }
}
