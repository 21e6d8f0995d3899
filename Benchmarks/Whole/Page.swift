import Glibc
import Platform
import Rehearsal

/// A page of a server on this machine.
enum Page {
  private static let largest = 1 << 20

  /// Asks for it and reads until the server hangs up.
  static func get(_ path: String, port: Int) throws -> String {
    let socket = try InternetSocket.connect(to: "127.0.0.1", port: port)
    let poller = try Poller()
    try poller.watch(socket, token: 0, read: true, write: true)
    _ = try poller.wait(timeout: 5000)
    let connection = ByteConnection(socket)
    try connection.send(Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".utf8))
    var bytes: [UInt8] = []
    while bytes.count < largest {
      guard try Waiting.readable([socket], milliseconds: 5000)[0] else {
        throw RehearsalError("\(path) on port \(port) has no end within 5 s")
      }
      guard let more = try connection.read() else { continue }
      if more.isEmpty { break }
      bytes += more
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
