import Glibc
import Messages
import Platform

/// A WebSocket client that knows beforehand what it sends and how long the answer is. It blocks.
struct EchoClient {
  private let socket: Descriptor
  private let frame: [UInt8]
  /// Of the same text from the server, which does not mask it.
  private let echoBytes: Int

  /// The text of an update without metadata is as long.
  private static let textBytes = 118

  init(port: Int) throws {
    socket = try InternetSocket.connect(to: "127.0.0.1", port: port)
    try socket.setNonBlocking(false)
    // RFC 6455, section 5.2: a text frame with a mask, which is zero, and one without.
    frame =
      [0x81, 0x80 | UInt8(Self.textBytes), 0, 0, 0, 0] + Array(repeating: UInt8(ascii: "x"), count: Self.textBytes)
    echoBytes = 2 + Self.textBytes
    let request =
      "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    try send(Array(request.utf8))
    var answer: [UInt8] = []
    while !answer.suffix(4).elementsEqual("\r\n\r\n".utf8) { answer += try receive(upTo: 1) }
  }

  /// How many a second come back when that many are sent with one write, and the next when all are back.
  func echoesASecond(inFlight: Int, seconds: Double) throws -> Double {
    let batch = Array(repeatElement(frame, count: inFlight).joined())
    let begin = Clock.bootNanoseconds
    var count = 0
    var elapsed: Int64 = 0
    repeat {
      try send(batch)
      var left = inFlight * echoBytes
      while left > 0 { left -= try receive(upTo: left).count }
      count += inFlight
      elapsed = Clock.bootNanoseconds - begin
    } while Double(elapsed) < seconds * 1e9
    return Double(count) / (Double(elapsed) / 1e9)
  }

  private func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw SystemError("send", "the echo server") }
      rest = rest.dropFirst(count)
    }
  }

  private func receive(upTo count: Int) throws -> [UInt8] {
    let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = recv(socket.number, buffer.baseAddress, count, 0)
      guard filled >= 0 else {
        filled = 0
        throw SystemError("recv", "the echo server")
      }
    }
    guard !bytes.isEmpty else { throw EchoError("the server closed the connection") }
    return bytes
  }
}

/// What a broken benchmark says instead of a figure.
struct EchoError: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}
