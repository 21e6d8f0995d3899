import NIOCore
import NIOHTTP1

/// Answers the requests of one connection for figures. Confined to its channel's event loop.
final class FiguresHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  /// How long a client may take for a request, or rest between two. One that sends a byte now and then has no longer:
  /// any byte would do for NIO's IdleStateHandler.
  static let patience = TimeAmount.seconds(30)

  private let page: ((String) -> FiguresPage?)?
  private var request: HTTPRequestHead?
  private var deadline: Scheduled<Void>?

  /// - Parameter page: makes what is under a path; nil: the connection is one too many.
  init(page: ((String) -> FiguresPage?)?) { self.page = page }

  func channelActive(context: ChannelHandlerContext) {
    if page == nil { context.close(promise: nil) } else { wait(context) }
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      // None of what is asked for here has a body, and none is waited for.
      if head.headers.contains(name: "transfer-encoding")
        || head.headers["content-length"].contains(where: { $0 != "0" })
      {
        answer(context, head, .payloadTooLarge, text: "a request for figures has no body\n", closes: true)
      } else {
        request = head
      }
    case .body: break
    case .end:
      if let head = request { serve(context, head) }
      request = nil
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func serve(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
    // Who asks and does not read has answers enough.
    guard context.channel.isWritable else { return context.close(promise: nil) }
    guard let page = page?(String(head.uri.prefix { $0 != "?" })) else {
      return answer(context, head, .notFound, text: "there are /metrics and /healthz\n")
    }
    guard head.method == .GET || head.method == .HEAD else {
      return answer(context, head, .methodNotAllowed, ["allow": "GET, HEAD"], text: "there are GET and HEAD\n")
    }
    answer(context, head, page.isWell ? .ok : .serviceUnavailable, type: page.type, text: page.text)
  }

  private func answer(
    _ context: ChannelHandlerContext, _ request: HTTPRequestHead, _ status: HTTPResponseStatus,
    _ more: HTTPHeaders = [:], type: String = "text/plain; charset=utf-8", text: String, closes: Bool = false
  ) {
    // A client of HTTP/1.0 would have to be told otherwise.
    let closes = closes || !request.isKeepAlive || request.version != .http1_1
    var head = HTTPResponseHead(version: .http1_1, status: status, headers: more)
    head.headers.add(name: "content-type", value: type)
    head.headers.add(name: "content-length", value: "\(text.utf8.count)")
    if closes { head.headers.add(name: "connection", value: "close") }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: text)))), promise: nil)
    }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      let (handler, context) = bound.value
      if closes { context.close(promise: nil) } else { handler.wait(context) }
    }
  }

  private func wait(_ context: ChannelHandlerContext) {
    deadline?.cancel()
    let channel = context.channel
    deadline = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
  }
}
