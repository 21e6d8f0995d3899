import JSON

/// What a WebSocket's server writes. Source: RFC 6455.
public enum ServerWebSocket {
  public static func text(_ payload: [UInt8]) -> [UInt8] { frame(0x81, payload) }
  public static func pong(_ payload: [UInt8]) -> [UInt8] { frame(0x8a, payload) }
  public static func close(_ payload: [UInt8]) -> [UInt8] { frame(0x88, payload) }

  /// A frame, not masked (section 5.2).
  /// - Parameter first: its first byte: FIN, three reserved bits, and four of the opcode.
  public static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    header(first, length: payload.count) + payload
  }

  /// The header of a frame whose payload has `length` bytes.
  public static func header(_ first: UInt8, length: Int) -> [UInt8] {
    switch length {
    case ..<126: [first, UInt8(length)]
    case ..<65_536: [first, 126, UInt8(length >> 8), UInt8(length & 0xff)]
    default: [first, 127] + (0..<8).map { UInt8(truncatingIfNeeded: length >> (56 - 8 * $0)) }
    }
  }

  /// The response to an opening handshake (section 4.2.2).
  /// - Parameter request: the client's request, with the empty line that ends it.
  public static func response(to request: [UInt8]) throws -> [UInt8] {
    let lines = String(decoding: request, as: UTF8.self).split(separator: "\r\n")
    let name = "sec-websocket-key:"
    guard let line = lines.first(where: { $0.lowercased().hasPrefix(name) }),
      let key = line.dropFirst(name.count).split(separator: " ").first
    else { throw RehearsalError("a client asks for no WebSocket") }
    let accept = Base64.encode(SHA1.hash(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)))
    return Array(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(accept)\r\n\r\n"
        .utf8)
  }
}
