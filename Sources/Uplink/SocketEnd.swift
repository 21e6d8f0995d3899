import Glibc
import NIOCore

/// The end of a connection's pipeline at its socket: closes that whatever the handlers behind it wait for, as TLS does for
/// the other side's word. Has to be its channel's first handler. Confined to its channel's event loop.
final class SocketEnd: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  private var context: ChannelHandlerContext?

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  /// Closes the socket now. Nothing waits for what is unsent.
  func close() { context?.close(promise: nil) }

  /// Closes the socket now and throws away what it has not sent (socket(7), SO_LINGER): the other side gets a reset.
  func reset() {
    guard let context else { return }
    // It fails for a socket that is closed.
    (context.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenFailure { _ in }
    close()
  }
}
