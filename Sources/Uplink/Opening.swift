import JSON
import Messages
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOSSL
import NIOTLS
import NIOWebSocket

/// The steps to an open WebSocket, in their order.
enum OpeningStep {
  case connection
  /// Through the proxy, if there is one.
  case tunnel
  case tls
  case upgrade
  case done
}

/// What became of the request for a WebSocket.
enum UpgradeResult {
  case open
  case refused
}

// One step after the other, so that what fails can be told from what came before it.
extension FacilitatorConnection {
  /// Watches over the socket for as long as it is there; has to be its channel's second handler, behind `end`.
  func openingHandler() -> some ChannelHandler { OpeningHandler(self) }

  /// More than any answer to CONNECT or to the opening handshake has.
  private static var headerLimits: NIOHTTPDecoderLimitConfiguration {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16_384
    limits.maxHeaderListSize = 65_536
    return limits
  }

  /// Asks the proxy for a tunnel to the facilitator (RFC 9110, section 9.3.6).
  func openTunnel(_ channel: any Channel) throws -> EventLoopFuture<Void> {
    guard let proxy = address.proxy else { return loop.makeSucceededVoidFuture() }
    let host = bracketed(address.host)
    var headers: HTTPHeaders = ["Host": "\(host):\(address.port)"]
    if let credentials = proxy.credentials {
      // RFC 7617, section 2: the colon is there even without a password.
      let pair = credentials.contains(":") ? credentials : credentials + ":"
      headers.add(name: "Proxy-Authorization", value: "Basic \(Base64.encode(Array(pair.utf8)))")
    }
    let promise = loop.makePromise(of: Void.self)
    let encoder = HTTPRequestEncoder()
    let decoder = ByteToMessageHandler(
      HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: Self.headerLimits))
    let answer = ProxyAnswerHandler(self)
    let pipeline = channel.pipeline.syncOperations
    do {
      try pipeline.addHandlers([encoder, decoder, answer], position: .after(end))
      // It writes as soon as it is there.
      try pipeline.addHandler(
        NIOHTTP1ProxyConnectHandler(
          targetHost: host, targetPort: address.port, headers: headers,
          deadline: .now() + Self.openingDeadline, promise: promise), position: .after(answer))
    } catch { promise.fail(error) }
    let bound = NIOLoopBound((pipeline, encoder, decoder, answer), eventLoop: loop)
    return promise.futureResult.flatMap {
      let (pipeline, encoder, decoder, answer) = bound.value
      return .andAllSucceed(
        [pipeline.removeHandler(answer), pipeline.removeHandler(decoder), pipeline.removeHandler(encoder)],
        on: channel.eventLoop)
    }
  }

  /// Agrees on TLS with the facilitator itself, which its certificate has to prove, a proxy or not.
  func startTLS(_ channel: any Channel) throws -> EventLoopFuture<Void> {
    guard let tls = address.tls else { return loop.makeSucceededVoidFuture() }
    let pipeline = channel.pipeline.syncOperations
    let opening = try pipeline.handler(type: OpeningHandler.self)
    let promise = loop.makePromise(of: Void.self)
    opening.handshake = promise
    // SNI is for names only (RFC 6066, section 3); an address is compared with the one connected to.
    let isAddress = (try? SocketAddress(ipAddress: address.host, port: 0)) != nil
    try pipeline.addHandler(
      NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : address.host), position: .after(end))
    let connection = NIOLoopBound(self, eventLoop: loop)
    return promise.futureResult.flatMapThrowing {
      let host = connection.value.address.host
      guard !isAddress else { return }
      guard let certificate = try channel.pipeline.syncOperations.nioSSL_peerCertificate(),
        ServerName.isProven(host, by: certificate)
      else { throw NIOSSLExtraError.failedToValidateHostname }
    }
  }

  /// Asks for the WebSocket (RFC 6455, section 4.1).
  func upgrade(_ channel: any Channel) throws -> EventLoopFuture<UpgradeResult> {
    let connection = NIOLoopBound(self, eventLoop: loop)
    let upgrader = NIOTypedWebSocketClientUpgrader<UpgradeResult>(enableAutomaticErrorHandling: false) { channel, _ in
      channel.eventLoop.makeCompletedFuture {
        let pipeline = channel.pipeline.syncOperations
        // It keeps whole frames, and each fragment of a message with all of the buffer it came in.
        let decoder = try pipeline.handler(type: ByteToMessageHandler<WebSocketFrameDecoder>.self)
        try pipeline.addHandler(
          WebSocketHandler(
            connection.value, kept: connection.value.textLimit, longest: Limits.facilitatorFrameBytes))
        pipeline.removeHandler(decoder).whenFailure { connection.value.fail($0) }
        return .open
      }
    }
    var headers = HTTPHeaders()
    headers.add(name: "Host", value: address.authority)
    headers.add(name: "X-Validator-Version", value: hordelinkVersion)
    headers.add(name: "X-Validator-Runner-Version", value: hordelinkVersion)
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: address.path, headers: headers)
    let configuration = NIOTypedHTTPClientUpgradeConfiguration(
      upgradeRequestHead: head, upgraders: [upgrader],
      notUpgradingCompletionHandler: { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(RefusedUpgradeHandler(connection.value))
          return .refused
        }
      })
    var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
    pipeline.decoderConfiguration = Self.headerLimits
    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: pipeline)
  }
}

/// Sees what happens to the socket and to TLS, whatever else is in the pipeline.
private final class OpeningHandler: ChannelInboundHandler {
  typealias InboundIn = NIOAny

  /// Kept when the handshake is over; a failed one fails the connection as well.
  var handshake: EventLoopPromise<Void>?
  private let connection: FacilitatorConnection

  init(_ connection: FacilitatorConnection) { self.connection = connection }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted = event as? TLSUserEvent {
      handshake?.succeed(())
      handshake = nil
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    connection.fail(error)
    handshake?.fail(error)
    handshake = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    context.fireChannelInactive()
    connection.ended()
    handshake?.fail(ChannelError.eof)
    handshake = nil
  }
}

/// Reads how the proxy answers: a refusal ends the connection with the proxy's own words.
private final class ProxyAnswerHandler: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias InboundOut = HTTPClientResponsePart

  private let connection: FacilitatorConnection

  init(_ connection: FacilitatorConnection) { self.connection = connection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data), !(200..<300).contains(head.status.code) {
      connection.fail(ConnectionFailure.refusedByProxy(head.status, connection.address))
    }
    context.fireChannelRead(data)
  }
}

/// Reads what the facilitator answers instead of switching to WebSocket, and ends the connection.
private final class RefusedUpgradeHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  private let connection: FacilitatorConnection

  init(_ connection: FacilitatorConnection) { self.connection = connection }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let head) = unwrapInboundIn(data) else { return }
    connection.fail(ConnectionFailure.refusedUpgrade(head.status, connection.address))
  }
}
