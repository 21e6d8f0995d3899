import Glibc
import Platform

/// A WebSocket client over a blocking socket, able to break every rule. A wait of 20 s is an error.
final class BlockingClient {
  enum Incoming: Equatable {
    case text(String)
    case pong([UInt8])
    case close(code: UInt16, reason: String)
    /// The TCP connection ended, without a close frame where none came before.
    case end
  }

  enum Failure: Error {
    case notConnected(Int32)
    case timedOut
    case unexpected(String)
  }

  private let socket: Descriptor
  private var pending: [UInt8] = []

  /// Connects to a port of 127.0.0.1.
  init(port: Int) throws {
    socket = Descriptor(owning: Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var timeout = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(socket.number, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw Failure.notConnected(errno) }
  }

  /// Sends a request for `path` and gives the answer's status line.
  func request(_ path: String, headers: [String]) throws -> String {
    let lines = ["GET \(path) HTTP/1.1", "Host: test"] + headers
    try send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
    while true {
      if let end = pending.indices.first(where: { pending[$0...].starts(with: Array("\r\n\r\n".utf8)) }) {
        let head = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeSubrange(..<(end + 4))
        return String(head.prefix { $0 != "\r\n" })
      }
      guard try readMore() else { throw Failure.unexpected("the end within a response's head") }
    }
  }

  /// Asks for the WebSocket on `path` and gives the answer's status line.
  func upgrade(_ path: String = "/ws/v0/", headers: [String] = []) throws -> String {
    try request(
      path,
      headers: [
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ] + headers)
  }

  func send(text: [UInt8]) throws { try send(opcode: 1, text) }

  func close(code: UInt16) throws { try send(opcode: 8, [UInt8(code >> 8), UInt8(code & 0xff)]) }

  /// Sends a frame; `declaring` another length sends only its head.
  func send(
    opcode: UInt8, _ payload: [UInt8], fin: Bool = true, masked: Bool = true, reserved: UInt8 = 0,
    declaring: Int? = nil
  ) throws {
    let length = declaring ?? payload.count
    var frame = [opcode | (fin ? 0x80 : 0) | reserved]
    let mask: UInt8 = masked ? 0x80 : 0
    if length < 126 {
      frame.append(mask | UInt8(length))
    } else {
      frame.append(mask | 127)
      frame += (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    }
    let key: [UInt8] = masked ? [1, 2, 3, 4] : [0, 0, 0, 0]
    if masked { frame += key }
    if declaring == nil { frame += payload.enumerated().map { $1 ^ key[$0 % 4] } }
    try send(frame)
  }

  /// The next thing that arrives.
  func next() throws -> Incoming {
    while true {
      if let incoming = try takeFrame() { return incoming }
      guard try readMore() else { return .end }
    }
  }

  private func takeFrame() throws -> Incoming? {
    guard pending.count >= 2 else { return nil }
    guard pending[1] & 0x80 == 0, pending[0] & 0x70 == 0 else { throw Failure.unexpected("a masked frame") }
    let extra = pending[1] == 126 ? 2 : pending[1] == 127 ? 8 : 0
    guard pending.count >= 2 + extra else { return nil }
    let length =
      extra == 0 ? Int(pending[1]) : pending[2..<(2 + extra)].reduce(0) { $0 << 8 | Int($1) }
    guard pending.count >= 2 + extra + length else { return nil }
    let payload = Array(pending[(2 + extra)..<(2 + extra + length)])
    let opcode = pending[0] & 0x0f
    pending.removeSubrange(..<(2 + extra + length))
    switch opcode {
    case 1: return .text(String(decoding: payload, as: UTF8.self))
    case 8:
      let code = payload.prefix(2).reduce(UInt16(0)) { $0 << 8 | UInt16($1) }
      return .close(code: code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
    case 10: return .pong(payload)
    default: throw Failure.unexpected("a frame with opcode \(opcode)")
    }
  }

  /// False at the end of the connection, however it ended.
  private func readMore() throws -> Bool {
    do throws(SystemError) {
      guard let bytes = try socket.read(upTo: 65_536) else { throw SystemError("read", "", code: EAGAIN) }
      pending += bytes
      return !bytes.isEmpty
    } catch {
      if error.code == ECONNRESET { return false }
      throw Failure.timedOut
    }
  }

  private func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let sent = rest.withUnsafeBytes { Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard sent > 0 else { throw Failure.unexpected("send failed with \(errno)") }
      rest = rest.dropFirst(sent)
    }
  }
}
