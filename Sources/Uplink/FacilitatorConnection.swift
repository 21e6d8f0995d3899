import Glibc
import Messages
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// What happens on one connection to the facilitator.
enum FacilitatorEvent {
  /// The WebSocket is open.
  case opened
  /// A frame that is neither text nor control.
  case ignored(reason: String)
  /// A text frame.
  case text([UInt8])
  /// The pong to the ping of that number.
  case ponged(UInt64)
  /// It is over; said once, last of all.
  case lost(reason: String)
}

/// Where the facilitator is and how it is reached.
struct FacilitatorAddress: Sendable {
  var host: String
  var port: Int
  /// Path and query of the URL.
  var path: String
  /// nil: without TLS.
  var tls: NIOSSLContext?
  /// Value of the Host header.
  var authority: String
}

/// One WebSocket connection to the facilitator. Confined to its event loop; a connection is never opened twice.
final class FacilitatorConnection {
  private let loop: any EventLoop
  private let handle: (FacilitatorEvent) -> Void
  private var channel: (any Channel)?
  private var over = false

  /// - Parameter handle: is called on `loop` with what happens.
  init(loop: any EventLoop, handle: @escaping (FacilitatorEvent) -> Void) {
    self.loop = loop
    self.handle = handle
  }

  /// Begins to connect.
  func open(_ address: FacilitatorAddress) {
    let connection = NIOLoopBound(self, eventLoop: loop)
    ClientBootstrap(group: loop)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls = address.tls {
            try channel.pipeline.syncOperations.addHandler(Self.tlsHandler(tls, host: address.host))
          }
        }
      }
      .connect(host: address.host, port: address.port)
      .flatMap { channel -> EventLoopFuture<Bool> in
        connection.value.channel = channel
        // It was given up on while it was being made.
        if connection.value.over {
          channel.close(promise: nil)
          return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        return Self.upgrade(channel, address, connection)
      }
      .whenComplete { result in
        switch result {
        case .success(true): connection.value.handle(.opened)
        case .success(false):
          connection.value.lost("the facilitator did not switch to WebSocket; check [facilitator] url")
          connection.value.channel?.close(promise: nil)
        case .failure(let error):
          connection.value.lost("connecting to \(address.authority) failed: \(Self.reason(error))")
          connection.value.channel?.close(promise: nil)
        }
      }
  }

  /// What went wrong, in the words of the system rather than of NIO.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? NIOConnectionError else { return "\(error)" }
    let attempts = error.connectionErrors.map { attempt in
      let why = (attempt.error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(attempt.error)"
      return "\(attempt.target.ipAddress ?? "?"): \(why)"
    }
    let lookups = [error.dnsAError, error.dnsAAAAError].compactMap(\.self).map { "the name is not found (\($0))" }
    return Array(Set(attempts + (attempts.isEmpty ? lookups : []))).sorted().joined(separator: ", ")
  }

  /// SNI is for names only (RFC 6066, section 3).
  private static func tlsHandler(_ context: NIOSSLContext, host: String) throws -> NIOSSLClientHandler {
    let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
    return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
  }

  private static func upgrade(
    _ channel: any Channel, _ address: FacilitatorAddress, _ connection: NIOLoopBound<FacilitatorConnection>
  ) -> EventLoopFuture<Bool> {
    do {
      let upgrader = NIOTypedWebSocketClientUpgrader<Bool>(
        maxFrameSize: Limits.facilitatorFrameBytes
      ) { channel, _ in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(
            NIOWebSocketFrameAggregator(
              minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 65_536,
              maxAccumulatedFrameSize: Limits.facilitatorFrameBytes),
            WebSocketHandler(connection.value))
          return true
        }
      }
      var headers = HTTPHeaders()
      headers.add(name: "Host", value: address.authority)
      headers.add(name: "X-Validator-Version", value: hordelinkVersion)
      headers.add(name: "X-Validator-Runner-Version", value: hordelinkVersion)
      let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.path, headers: headers)
      let configuration = NIOTypedHTTPClientUpgradeConfiguration(
        upgradeRequestHead: head, upgraders: [upgrader],
        notUpgradingCompletionHandler: { $0.eventLoop.makeSucceededFuture(false) })
      return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
        configuration: .init(upgradeConfiguration: configuration))
    } catch {
      return channel.eventLoop.makeFailedFuture(error)
    }
  }

  /// Writes a text frame; it goes out with the next `flush`.
  func write(_ text: [UInt8]) {
    guard let channel else { return }
    channel.write(
      WebSocketFrame(
        fin: true, opcode: .text, maskKey: .random(), data: channel.allocator.buffer(bytes: text)),
      promise: nil)
  }

  func ping(_ number: UInt64) {
    guard let channel else { return }
    channel.write(
      WebSocketFrame(fin: true, opcode: .ping, maskKey: .random(), data: channel.allocator.buffer(integer: number)),
      promise: nil)
  }

  func flush() { channel?.flush() }

  /// Ends the connection at once, without a word to the facilitator. Nothing is reported any more.
  func drop() {
    over = true
    channel?.close(promise: nil)
  }

  /// Ends the connection with a close frame of code 1000, which is sent before the socket is closed.
  func close() {
    over = true
    guard let channel else { return }
    var data = channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: .normalClosure)
    let socket = channel
    channel.writeAndFlush(
      WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data)
    ).whenComplete { _ in socket.close(promise: nil) }
  }

  fileprivate func lost(_ reason: String) {
    guard !over else { return }
    over = true
    handle(.lost(reason: reason))
  }

  fileprivate func received(_ event: FacilitatorEvent) {
    if !over { handle(event) }
  }
}

/// Takes WebSocket frames apart and remembers why the connection ends.
private final class WebSocketHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let connection: FacilitatorConnection
  private var reason = "the connection ended without a close frame"

  init(_ connection: FacilitatorConnection) { self.connection = connection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    var payload = frame.unmaskedData
    switch frame.opcode {
    case .text: connection.received(.text(Array(payload.readableBytesView)))
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
      reason = "the facilitator closed with code \(code ?? "none")\(words.isEmpty ? "" : ": \(words)")"
      let echo = WebSocketFrame(
        fin: true, opcode: .connectionClose, maskKey: .random(), data: frame.unmaskedData)
      let channel = context.channel
      context.writeAndFlush(wrapOutboundOut(echo)).whenComplete { _ in channel.close(promise: nil) }
    default:
      // The facilitator sends text only. What else it may mean is not known, and the connection stays up.
      connection.received(.ignored(reason: "a binary frame of \(payload.readableBytes) bytes"))
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    reason = "\(error)"
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    connection.lost(reason)
    context.fireChannelInactive()
  }
}
