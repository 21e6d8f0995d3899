import NIOCore
import NIOHTTP1
import NIOWebSocket

/// From HTTP to WebSocket: on one path, and nothing else is served.
enum Upgrade {
  /// Source: PROTOCOL.md, The facilitator's WebSocket.
  static let path = "/ws/v0/"

  /// Makes an accepted connection speak HTTP until it asks for the WebSocket. On the server's event loop.
  static func configure(_ channel: any Channel, server: Server) throws {
    let bound = NIOLoopBound(server, eventLoop: channel.eventLoop)
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: IncomingMessage.byteLimit, automaticErrorHandling: false,
      shouldUpgrade: { channel, head in
        channel.eventLoop.makeSucceededFuture(isOurs(head.uri) ? HTTPHeaders() : nil)
      },
      upgradePipelineHandler: { channel, head in
        channel.eventLoop.makeCompletedFuture {
          let connection = bound.value.connected(
            validatorVersion: head.headers.first(name: "X-Validator-Version"),
            runnerVersion: head.headers.first(name: "X-Validator-Runner-Version"))
          try channel.pipeline.syncOperations.addHandler(connection)
        }
      })
    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
      withServerUpgrade: (
        upgraders: [upgrader],
        completionHandler: { context in
          context.pipeline.syncOperations.removeHandler(name: PlainRequestHandler.name, promise: nil)
        }
      ))
    try channel.pipeline.syncOperations.addHandler(PlainRequestHandler(), name: PlainRequestHandler.name)
  }

  static func isOurs(_ uri: String) -> Bool { uri.prefix { $0 != "?" } == path }
}

/// Answers a request that is no WebSocket's and hangs up: 404, or on the WebSocket's path 426.
private final class PlainRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
  static let name = "plain requests"

  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let request) = Self.unwrapInboundIn(data) else { return }
    var head = HTTPResponseHead(
      version: .http1_1, status: Upgrade.isOurs(request.uri) ? .upgradeRequired : .notFound,
      headers: ["content-length": "0", "connection": "close"])
    if head.status == .upgradeRequired { head.headers.add(name: "upgrade", value: "websocket") }
    context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
    let channel = context.channel
    context.writeAndFlush(Self.wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // An upgrade that is refused is an error here first, and then a request like others.
    if !(error is NIOWebSocketUpgradeError) { context.close(promise: nil) }
  }
}
