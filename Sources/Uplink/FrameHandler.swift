import Messages
import NIOCore

/// A Unix socket that carries frames of one conversation: whole messages come out of it.
///
/// Confined to its channel's event loop.
final class FrameHandler<Incoming: Message>: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var assembler: FrameAssembler
  private let received: (Incoming, Generation) -> Void
  private let closed: (String?) -> Void
  private var reason: String?

  /// - Parameters:
  ///   - limit: the largest frame accepted, in bytes.
  ///   - received: is called with each message.
  ///   - closed: is called once when the socket has ended, with what was wrong if anything was.
  init(
    limit: Int, received: @escaping (Incoming, Generation) -> Void, closed: @escaping (String?) -> Void
  ) {
    assembler = FrameAssembler(limit: limit)
    self.received = received
    self.closed = closed
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    assembler.append(unwrapInboundIn(data).readableBytesView)
    do {
      while let body = try assembler.next() {
        let (message, generation) = try Incoming.read(body)
        received(message, generation)
      }
    } catch {
      reason = "\(Incoming.conversation): \(error)"
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    reason = reason ?? "\(Incoming.conversation): \(error)"
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    closed(reason)
    context.fireChannelInactive()
  }
}
