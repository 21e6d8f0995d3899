import Glibc
import Platform
import Rehearsal

/// One client of the sink: its opening handshake, its frames, and its answers, which leave in one write for each read.
final class SinkConnection {
  /// The answer to what is accepted. Source: PROTOCOL.md, The facilitator's WebSocket.
  static let answer = ServerWebSocket.text(Array(#"{"status":"success","errors":[]}"#.utf8))
  private static let manyAnswers = Array(repeatElement(answer, count: 2048).joined())

  let token: UInt64
  private let out: ByteConnection
  private let frames = FrameReader()
  private var isUpgraded = false
  private var watchesWriting = false

  init(_ socket: Descriptor, token: UInt64, _ poller: Poller) throws {
    self.token = token
    out = ByteConnection(socket)
    var on: Int32 = 1
    setsockopt(socket.number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    try poller.watch(socket, token: token, read: true, write: false)
  }

  func send(_ bytes: [UInt8], _ poller: Poller) throws {
    try out.send(bytes)
    try watch(poller)
  }

  func flush(_ poller: Poller) throws {
    try out.flush()
    try watch(poller)
  }

  private func watch(_ poller: Poller) throws {
    guard out.wantsToWrite != watchesWriting else { return }
    watchesWriting = out.wantsToWrite
    try poller.watch(out.socket, token: token, read: true, write: watchesWriting)
  }

  /// Reads once and answers what was asked.
  ///
  /// - Parameter take: is given each text's head and when it was read, and says whether it is to be answered.
  /// - Returns: false when the connection is over.
  func read(_ poller: Poller, _ take: (UnsafeRawBufferPointer, Int64) throws -> Bool) throws -> Bool {
    guard try frames.fill(from: out.socket) else { return false }
    let time = Clock.bootNanoseconds
    if !isUpgraded {
      guard let request = frames.request() else { return true }
      try send(try ServerWebSocket.response(to: request), poller)
      isUpgraded = true
    }
    var answers = 0
    var isOpen = true
    try frames.messages { opcode, head in
      switch opcode {
      case 0x1: if try take(head, time) { answers += 1 }
      case 0x8:
        try answer(&answers, poller)
        try send(ServerWebSocket.close(Array(head.prefix(2))), poller)
        isOpen = false
      case 0x9:
        try answer(&answers, poller)
        try send(ServerWebSocket.pong(Array(head)), poller)
      case 0xa: break
      default: throw RehearsalError("a frame with the opcode \(opcode); the sink takes texts")
      }
    }
    try answer(&answers, poller)
    return isOpen
  }

  private func answer(_ count: inout Int, _ poller: Poller) throws {
    while count > 0 {
      let bytes = min(count * Self.answer.count, Self.manyAnswers.count)
      try send(Array(Self.manyAnswers[..<bytes]), poller)
      count -= bytes / Self.answer.count
    }
  }
}
