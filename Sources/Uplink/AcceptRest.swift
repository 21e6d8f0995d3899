import Logging
import NIOCore

/// Accepts no connection for a second after one could not be, for want of descriptors above all: it waits in the backlog
/// and would be announced again at once, without end. NIO's AcceptBackoffHandler puts off the next read only, and the
/// channel stays registered for the one that has failed.
final class AcceptRest: ChannelInboundHandler {
  typealias InboundIn = any Channel

  private let logger: Logger
  private let whose: String

  /// - Parameter whose: what the connections are for, for the journal.
  init(_ logger: Logger, _ whose: String) {
    self.logger = logger
    self.whose = whose
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    logger.error("no connection \(whose) can be accepted: \(error); tried again in a second")
    let channel = context.channel
    // It fails for a channel that is closed, which accepts nothing any more.
    channel.setOption(.autoRead, value: false).whenFailure { _ in }
    context.eventLoop.scheduleTask(in: .seconds(1)) {
      channel.setOption(.autoRead, value: true).whenFailure { _ in }
    }
  }
}
