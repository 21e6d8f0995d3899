import Facilitator
import NIOCore
import NIOWebSocket

/// One validator's WebSocket: frames in, what the ledger wants sent out. Lives on its channel's event loop.
///
/// It is strict where RFC 6455 lets it: the other end's faults are to show here.
final class WebSocketConnection: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  /// Something that is sent in its turn.
  enum Outgoing {
    case text([UInt8])
    case close(code: UInt16, reason: String)
    case drop(reason: String)
  }

  /// How long the other end may take to answer a close frame (RFC 6455, section 7.1.1).
  private static let closeTimeout = TimeAmount.seconds(5)
  /// How much may wait behind a delay: a validator with more in flight than this is dropped.
  private static let waitingLimit = 100_000

  let number: Int
  private let server: Server
  private var context: ChannelHandlerContext?
  private var waiting = CircularBuffer<(item: Outgoing, due: NIODeadline)>()
  private var timer: Scheduled<Void>?
  /// What has arrived of a message in several frames.
  private var fragments: [UInt8]?
  private var hasSentClose = false
  /// Why the connection ends; the first reason stands.
  private var end: String?

  init(number: Int, server: Server) {
    self.number = number
    self.server = server
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { forget() }

  func channelInactive(context: ChannelHandlerContext) {
    forget()
    context.fireChannelInactive()
  }

  private func forget() {
    guard context != nil else { return }
    context = nil
    timer?.cancel()
    waiting.removeAll()
    server.disconnected(number, reason: end ?? "the validator hung up without a close frame")
  }

  /// A validator that does not read its answers is not read from either.
  func channelWritabilityChanged(context: ChannelHandlerContext) {
    context.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
    context.fireChannelWritabilityChanged()
  }

  // MARK: Out

  /// Sends `item` behind all that waits, and not before `delay` is over.
  func enqueue(_ item: Outgoing, after delay: TimeAmount = .zero) {
    guard context != nil else { return }
    guard waiting.count < Self.waitingLimit else {
      discardWaiting()
      carryOut(.drop(reason: "\(Self.waitingLimit) answers are delayed; use a shorter delay"))
      return
    }
    waiting.append((item, .now() + delay))
    sendWhatIsDue()
  }

  func discardWaiting() {
    timer?.cancel()
    timer = nil
    waiting.removeAll()
  }

  private func sendWhatIsDue() {
    while timer == nil, let context, let next = waiting.first {
      guard next.due <= .now() else {
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: next.due) {
          self.timer = nil
          self.sendWhatIsDue()
        }
        return
      }
      waiting.removeFirst()
      carryOut(next.item)
    }
  }

  private func carryOut(_ item: Outgoing) {
    guard let context, !hasSentClose else { return }
    switch item {
    case .text(let bytes): write(.text, ByteBuffer(bytes: bytes))
    case .close(let code, let reason):
      end = end ?? "closed with \(code)\(reason.isEmpty ? "" : ": \(reason)")"
      sendClose(code: code, reason: reason)
      context.eventLoop.assumeIsolated().scheduleTask(in: Self.closeTimeout) {
        self.context?.close(promise: nil)
      }
    case .drop(let reason):
      end = end ?? "dropped: \(reason)"
      context.close(promise: nil)
    }
  }

  private func sendClose(code: UInt16, reason: String) {
    hasSentClose = true
    var data = ByteBuffer(integer: code)
    data.writeString(reason)
    write(.connectionClose, data)
  }

  private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer) {
    let frame = WebSocketFrame(fin: true, opcode: opcode, data: data)
    context?.writeAndFlush(Self.wrapOutboundOut(frame), promise: nil)
  }

  // MARK: In

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = Self.unwrapInboundIn(data)
    guard frame.maskKey != nil else { return violated(CloseCode.protocolError, "a frame is not masked") }
    guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else {
      return violated(CloseCode.protocolError, "a frame has a reserved bit set")
    }
    switch frame.opcode {
    case .text, .binary: start(frame)
    case .continuation: proceed(frame)
    case .ping: if !hasSentClose { write(.pong, frame.unmaskedData) }
    case .pong: break
    case .connectionClose: closed(by: frame)
    default: violated(CloseCode.protocolError, "a frame has an unknown opcode")
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error {
    case NIOWebSocketError.invalidFrameLength:
      violated(CloseCode.messageTooLarge, "a frame is longer than \(IncomingMessage.byteLimit) bytes")
    case is NIOWebSocketError: violated(CloseCode.protocolError, "\(error)")
    default:
      end = end ?? "\(error)"
      context.close(promise: nil)
    }
  }

  private func violated(_ code: UInt16, _ reason: String) { server.violated(number, code: code, reason: reason) }

  private func start(_ frame: WebSocketFrame) {
    guard fragments == nil else {
      return violated(CloseCode.protocolError, "a message starts within another")
    }
    guard frame.opcode == .text else {
      return violated(CloseCode.unacceptableData, "binary frames are not taken")
    }
    let bytes = Array(frame.unmaskedData.readableBytesView)
    if frame.fin { server.received(bytes, on: number) } else { fragments = bytes }
  }

  private func proceed(_ frame: WebSocketFrame) {
    guard var message = fragments else {
      return violated(CloseCode.protocolError, "a continuation continues nothing")
    }
    guard message.count + frame.length <= IncomingMessage.byteLimit else {
      return violated(
        CloseCode.messageTooLarge, "a message is longer than \(IncomingMessage.byteLimit) bytes")
    }
    // Not held twice while it grows.
    fragments = nil
    message += frame.unmaskedData.readableBytesView
    if frame.fin { server.received(message, on: number) } else { fragments = message }
  }

  private func closed(by frame: WebSocketFrame) {
    var data = frame.unmaskedData
    let code = data.readInteger(as: UInt16.self)
    let reason = data.readString(length: data.readableBytes) ?? ""
    discardWaiting()
    end =
      end
      ?? "the validator closed \(code.map { "with \($0)" } ?? "without a code")\(reason.isEmpty ? "" : ": \(reason)")"
    if !hasSentClose {
      hasSentClose = true
      write(.connectionClose, code.map { ByteBuffer(integer: $0) } ?? ByteBuffer())
    }
    context?.close(promise: nil)
  }
}
