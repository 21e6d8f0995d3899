import Messages
import NIOCore

/// A Unix socket that carries frames of one conversation: whole messages come out of it.
///
/// Confined to its channel's event loop.
final class FrameHandler<Incoming: Message>: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private var assembler: FrameAssembler
  private let received: (Incoming, Generation) throws -> Void
  private let holds: (Int) -> Void
  private let closed: (String?) -> Void
  private var reason: String?

  /// - Parameters:
  ///   - limit: the largest frame accepted, in bytes.
  ///   - received: is called with each message; its error closes the socket.
  ///   - holds: is called with the bytes that wait for the rest of their frame, when something has come.
  ///   - closed: is called once when the socket has ended, with what was wrong if anything was.
  init(
    limit: Int, received: @escaping (Incoming, Generation) throws -> Void, holds: @escaping (Int) -> Void = { _ in },
    closed: @escaping (String?) -> Void
  ) {
    assembler = FrameAssembler(limit: limit)
    self.received = received
    self.holds = holds
    self.closed = closed
  }

  /// The largest frame accepted, in bytes.
  var limit: Int {
    get { assembler.limit }
    set { assembler.limit = newValue }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    assembler.append(unwrapInboundIn(data).readableBytesView)
    do {
      while let body = try assembler.next() {
        let (message, generation) = try Incoming.read(body)
        try received(message, generation)
      }
      holds(assembler.pendingBytes)
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
