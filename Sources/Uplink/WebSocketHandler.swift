import Facilitator
import NIOCore
import NIOWebSocket

/// Takes WebSocket frames apart, and answers pings and close frames.
final class WebSocketHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let connection: FacilitatorConnection

  init(_ connection: FacilitatorConnection) { self.connection = connection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    var payload = frame.unmaskedData
    switch frame.opcode {
    case .text:
      let text = payload.readableBytesView
      connection.received(
        text.count <= connection.textLimit
          ? .text(Array(text)) : .longText(beginning: Array(text.prefix(MessageBeginning.looked)), bytes: text.count))
    case .pong:
      // One that carries nothing of ours answers no ping of ours, but says that the facilitator lives.
      connection.received(.ponged(payload.readInteger() ?? 0))
    case .ping:
      context.writeAndFlush(
        wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: payload)),
        promise: nil)
    case .connectionClose:
      let code = payload.readWebSocketErrorCode().map { String(describing: UInt16(webSocketErrorCode: $0)) }
      let words = String(decoding: payload.readableBytesView.prefix(123), as: UTF8.self)
      connection.lost("the facilitator closed with code \(code ?? "none")\(words.isEmpty ? "" : ": \(words)")")
      let echo = WebSocketFrame(
        fin: true, opcode: .connectionClose, maskKey: .random(), data: frame.unmaskedData)
      let channel = context.channel
      context.writeAndFlush(wrapOutboundOut(echo)).whenComplete { _ in channel.close(promise: nil) }
    default:
      // The facilitator sends text only. What else it may mean is not known, and the connection stays up.
      connection.received(.ignored(reason: "a binary frame of \(payload.readableBytes) bytes"))
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { connection.fail(error) }
}
