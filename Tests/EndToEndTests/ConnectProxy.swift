import Foundation
import Glibc
import Platform
import Rehearsal
import Stage
import Synchronization

/// A proxy that opens tunnels by CONNECT to whoever gives the right user and password.
final class ConnectProxy: Sendable {
  private let server: SilentServer
  private let authorization: String
  private let state: Mutex<State>

  private struct State {
    var answers: [String]
    var targets: [String] = []
  }

  /// - Parameters:
  ///   - credentials: as in a URL, `user:password`.
  ///   - answers: all that the first connections get, whatever they ask for.
  init(credentials: String, answers: [String] = []) throws {
    server = try SilentServer()
    authorization = "Basic " + Data(credentials.utf8).base64EncodedString()
    state = Mutex(State(answers: answers))
    Thread.detachNewThread { [self] in
      while let client = server.accept() {
        Thread.detachNewThread { [self] in serve(client) }
      }
    }
  }

  func close() { server.close() }

  var port: Int { server.port }

  /// What it was asked to connect to, refused or not.
  var targets: [String] { state.withLock { $0.targets } }

  private func serve(_ client: Descriptor) {
    var head: [UInt8] = []
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      guard head.count < 65_536, let byte = try? client.read(upTo: 1), !byte.isEmpty else { return }
      head += byte
    }
    let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
    let request = lines[0].split(separator: " ")
    let answer = state.withLock { state in
      if request.count == 3 { state.targets.append(String(request[1])) }
      return state.answers.isEmpty ? nil : state.answers.removeFirst()
    }
    if let answer { return write(answer, to: client) }
    guard request.count == 3, request[0] == "CONNECT" else {
      return write("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", to: client)
    }
    let isKnown = lines.contains { $0.lowercased().hasPrefix("proxy-authorization:") && $0.hasSuffix(authorization) }
    guard isKnown else {
      return write("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", to: client)
    }
    guard let port = request[1].split(separator: ":").last.flatMap({ UInt16($0) }),
      let target = connect(port: port)
    else { return write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", to: client) }
    write("HTTP/1.1 200 Connection established\r\n\r\n", to: client)
    while let ready = try? Waiting.readable([client, target], milliseconds: 120_000), ready.contains(true) {
      for (from, to, isReady) in [(client, target, ready[0]), (target, client, ready[1])] where isReady {
        guard let bytes = try? from.read(upTo: 65_536), !bytes.isEmpty, write(bytes, to: to) else { return }
      }
    }
  }

  /// Whatever the name, it is this machine.
  private func connect(port: UInt16) -> Descriptor? {
    let socket = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    address.sin_port = port.bigEndian
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    return connected ? socket : nil
  }

  private func write(_ text: String, to socket: Descriptor) { write(Array(text.utf8), to: socket) }

  @discardableResult
  private func write(_ bytes: [UInt8], to socket: Descriptor) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { return false }
      rest = rest.dropFirst(sent)
    }
    return true
  }
}
