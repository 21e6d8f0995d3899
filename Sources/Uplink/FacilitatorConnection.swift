import Facilitator
import Glibc
import Messages
import NIOCore
import NIOPosix
import NIOSSL
import NIOWebSocket
import Platform

import enum Decisions.IntakeBounds
import struct Decisions.LineState

/// What happens on one connection to the facilitator.
enum FacilitatorEvent {
  /// The WebSocket is open.
  case opened
  /// A message that is not text.
  case ignored(reason: String)
  /// A text frame.
  case text([UInt8])
  /// A text frame that is longer than those that are looked at, and as much of it as `MessageBeginning` looks at.
  case longText(beginning: [UInt8], bytes: Int)
  /// The pong to the ping of that number.
  case ponged(UInt64)
  /// It is over; said once, last of all.
  case lost(reason: String)

  /// What it holds of the facilitator's bytes.
  var size: Int {
    switch self {
    case .text(let text), .longText(let text, _): text.count
    case .opened, .ignored, .ponged, .lost: 0
    }
  }
}

/// Where the facilitator is and how it is reached.
struct FacilitatorAddress: Sendable {
  var host: String
  var port: Int
  /// Path and query of the URL.
  var path: String
  /// nil: without TLS. It verifies certificates, always.
  var tls: NIOSSLContext?
  /// The authorities that TLS trusts; nil means the system's.
  var caFile: String?
  /// nil: it is reached directly.
  var proxy: ProxySettings?
  /// Value of the Host header.
  var authority: String
}

/// One WebSocket connection to the facilitator. Confined to its event loop; a connection is never opened twice.
final class FacilitatorConnection {
  /// How long everything up to the open WebSocket may take. Shorter than `Session.connectDeadline`, which cannot
  /// say what was waited for.
  static let openingDeadline = TimeAmount.seconds(20)
  /// How long a connection that is over may take to say its last words and to close.
  private static let closingDeadline = TimeAmount.seconds(1)
  /// How long the facilitator may take nothing of what waits for it before the kernel ends the connection, in
  /// milliseconds.
  private static let standstill = 30_000

  let loop: any EventLoop
  let address: FacilitatorAddress
  /// The longest text that is handed on whole, in bytes.
  let textLimit: Int
  /// What may wait for the facilitator to read it, in bytes.
  private let unreadLimit: Int
  private let handle: (FacilitatorEvent) -> Void
  /// Where it is closed.
  let end = SocketEnd()
  private var channel: (any Channel)?
  private var over = false
  private var timer: Scheduled<Void>?
  /// What is waited for, until it is open.
  private var step = OpeningStep.connection
  private var keys = MaskingKeys()

  /// - Parameters:
  ///   - textLimit: the longest text that is handed on whole, in bytes.
  ///   - unreadLimit: what may wait for the facilitator to read it, in bytes: more than honest use leaves there.
  ///   - handle: is called on `loop` with what happens.
  init(
    to address: FacilitatorAddress, loop: any EventLoop, textLimit: Int, unreadLimit: Int,
    handle: @escaping (FacilitatorEvent) -> Void
  ) {
    self.address = address
    self.textLimit = textLimit
    self.unreadLimit = unreadLimit
    self.loop = loop
    self.handle = handle
  }

  /// Begins to connect.
  func open() {
    let connection = NIOLoopBound(self, eventLoop: loop)
    timer = loop.scheduleTask(in: Self.openingDeadline) {
      let step = connection.value.step
      connection.value.fail(
        ConnectionFailure.silence(step, connection.value.address, Self.openingDeadline))
    }
    let server = address.proxy.map { ($0.host, $0.port) } ?? (address.host, address.port)
    ClientBootstrap(group: loop)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(IntakeBounds.socketBytes))
      .channelOption(.tcpOption(.init(rawValue: TCP_USER_TIMEOUT)), value: Self.standstill)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let connection = connection.value
          try channel.pipeline.syncOperations.addHandlers(connection.end, connection.openingHandler())
        }
      }
      .connect(host: server.0, port: server.1)
      .flatMap { channel in connection.value.connected(channel) }
      .whenComplete { result in
        switch result {
        case .success(.open): connection.value.opened()
        // What it answered instead is on its way, and ends the connection.
        case .success(.refused): break
        case .failure(let error): connection.value.fail(error)
        }
      }
  }

  private func connected(_ channel: any Channel) -> EventLoopFuture<UpgradeResult> {
    self.channel = channel
    // It was given up on while it was being made.
    if over {
      end.close()
      return loop.makeFailedFuture(ChannelError.ioOnClosedChannel)
    }
    let connection = NIOLoopBound(self, eventLoop: loop)
    return reach(.tunnel) { try $0.openTunnel(channel) }
      .flatMap { connection.value.reach(.tls) { try $0.startTLS(channel) } }
      .flatMap { connection.value.reach(.upgrade) { try $0.upgrade(channel) } }
  }

  /// Goes on to the next step, unless the connection is over.
  private func reach<Result>(
    _ step: OpeningStep, _ body: (FacilitatorConnection) throws -> EventLoopFuture<Result>
  ) -> EventLoopFuture<Result> {
    guard !over else { return loop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
    self.step = step
    do { return try body(self) } catch { return loop.makeFailedFuture(error) }
  }

  private func opened() {
    timer?.cancel()
    step = .done
    received(.opened)
  }

  /// The longest header of a frame, in bytes. Source: RFC 6455, section 5.2.
  private static let longestHeader = 14

  /// Writes a text frame; it goes out with the next `flush`.
  func write(_ text: [UInt8]) {
    guard let channel else { return }
    // Where there is room before the text, NIO puts the header there and not into a buffer of its own.
    var data = channel.allocator.buffer(capacity: Self.longestHeader + text.count)
    data.moveWriterIndex(to: Self.longestHeader)
    data.moveReaderIndex(to: Self.longestHeader)
    data.writeBytes(text)
    channel.write(WebSocketFrame(fin: true, opcode: .text, maskKey: keys.next(), data: data), promise: nil)
  }

  func ping(_ number: UInt64) {
    guard let channel else { return }
    channel.write(
      WebSocketFrame(fin: true, opcode: .ping, maskKey: keys.next(), data: channel.allocator.buffer(integer: number)),
      promise: nil)
  }

  /// Sends what was written. What the facilitator does not read is bounded.
  func flush() {
    guard let channel else { return }
    channel.flush()
    guard !channel.isWritable, !over, let waiting = try? channel.syncOptions?.getOption(.bufferedWritableBytes),
      waiting > unreadLimit
    else { return }
    fail("the facilitator does not read: \(waiting) bytes wait for it")
  }

  /// How much of what was written the facilitator has taken; nothing is on the way where that cannot be known.
  var lineState: LineState {
    let here = (try? channel?.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    let state = try? channel?.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
      socket throws -> LineState in
      let sent = try InternetSocket.sentBytes(socket)
      return LineState(taken: sent.acknowledged, waiting: sent.waiting + UInt64(max(0, here)))
    }
    return state ?? LineState(taken: 0, waiting: 0)
  }

  // MARK: Its end

  /// Goes on reading, or reads no more until told to. What one read has brought still comes.
  func read(_ on: Bool) { channel?.setOption(.autoRead, value: on).whenFailure { _ in } }

  /// Ends the connection at once, without a word to the facilitator. Nothing is reported any more.
  func drop() {
    stop()
    end.close()
  }

  /// Ends the connection with a close frame of code 1000, which is sent before the socket is closed. One that is not
  /// open yet has nobody to send it to.
  func close() {
    guard step == .done else { return drop() }
    stop()
    hangUp(code: .normalClosure)
  }

  /// The facilitator has closed: it gets its own code back.
  func closed(code: UInt16?, reason: [UInt8]) {
    let words = Terminal.printable(String(decoding: reason, as: UTF8.self), limit: 123)
    lost("the facilitator closed with code \(code.map { "\($0)" } ?? "none")\(words.isEmpty ? "" : ": \(words)")")
    hangUp(code: code.map { WebSocketErrorCode(codeNumber: Int($0)) })
  }

  /// The facilitator has sent what it must not: it is told so, and the connection is over.
  func violated(_ violation: WebSocketViolation) {
    lost("the facilitator sent \(violation), which WebSocket does not allow")
    hangUp(code: WebSocketErrorCode(codeNumber: Int(violation.closeCode)))
  }

  /// Closes the socket once a close frame is written, and after `closingDeadline` whatever the other side does.
  private func hangUp(code: WebSocketErrorCode?) {
    guard let channel else { return }
    var data = channel.allocator.buffer(capacity: 2)
    if let code { data.write(webSocketErrorCode: code) }
    channel.writeAndFlush(
      WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: keys.next(), data: data)
    ).whenComplete { _ in channel.close(promise: nil) }
    resetLater()
  }

  private func resetLater() {
    let end = NIOLoopBound(end, eventLoop: loop)
    loop.scheduleTask(in: Self.closingDeadline) { end.value.reset() }
  }

  /// Ends the connection because of an error, unless it is over.
  func fail(_ error: any Error) {
    guard !over else { return }
    let certificate = try? channel?.pipeline.syncOperations.nioSSL_peerCertificate()
    fail(ConnectionFailure.words(error, step, address, certificate: certificate))
  }

  /// Ends the connection and says why, unless it is over: the first reason stands.
  func fail(_ reason: String) {
    lost(reason)
    guard let channel else { return }
    channel.close(promise: nil)
    resetLater()
  }

  /// Tells that the connection is over, unless that is known. What still has to be written can be.
  func lost(_ reason: String) {
    guard !over else { return }
    stop()
    handle(.lost(reason: reason))
  }

  /// The socket is closed.
  func ended() {
    fail(step == .done ? "the connection ended without a close frame" : ConnectionFailure.hangUp(step, address))
  }

  func received(_ event: FacilitatorEvent) {
    if !over { handle(event) }
  }

  private func stop() {
    over = true
    timer?.cancel()
  }
}
