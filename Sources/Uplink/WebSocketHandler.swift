import Facilitator
import NIOCore
import NIOWebSocket

/// Takes WebSocket frames apart, and answers pings and close frames. Confined to its channel's event loop.
final class WebSocketHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = WebSocketFrame

  private let connection: FacilitatorConnection
  private var reader: WebSocketReader
  private var isOver = false
  /// Of the last ping that has no pong yet.
  private var ping: [UInt8]?
  private var pongIsOnItsWay = false

  /// - Parameters:
  ///   - kept: the longest text that is looked at, in bytes.
  ///   - longest: the longest message that does not end the connection, in bytes.
  init(_ connection: FacilitatorConnection, kept: Int, longest: Int) {
    self.connection = connection
    reader = WebSocketReader(kept: kept, longest: longest)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    do {
      try buffer.withUnsafeReadableBytes { bytes in
        var rest = bytes
        while !isOver, let item = try reader.next(&rest) { take(item) }
      }
    } catch {
      isOver = true
      connection.violated((error as? WebSocketViolation) ?? .badClose)
    }
  }

  private func take(_ item: WebSocketReader.Item) {
    switch item {
    case .text(let text): connection.received(.text(text))
    case .tooLarge(let beginning, let size): connection.received(.longText(beginning: beginning, bytes: size))
    // The facilitator sends text only. What else it may mean is not known, and the connection stays up.
    case .binary(let size): connection.received(.ignored(reason: "a binary message of \(size) bytes"))
    case .pong(let payload):
      // One that carries nothing of ours answers no ping of ours, but says that the facilitator lives.
      let number = payload.count < 8 ? 0 : payload.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
      connection.received(.ponged(number))
    case .ping(let payload): ping = payload
    case .close(let code, let reason):
      isOver = true
      connection.closed(code: code, reason: reason)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    answerPing(context)
    context.fireChannelReadComplete()
  }

  /// One pong at a time, to the last ping (RFC 6455, 5.5.3): a facilitator that pings and does not read gets no more.
  private func answerPing(_ context: ChannelHandlerContext) {
    guard let payload = ping, !pongIsOnItsWay, !isOver else { return }
    ping = nil
    pongIsOnItsWay = true
    let data = context.channel.allocator.buffer(bytes: payload)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.writeAndFlush(
      wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: data))
    ).whenSuccess {
      let (handler, context) = bound.value
      handler.pongIsOnItsWay = false
      handler.answerPing(context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { connection.fail(error) }
}
