import Decisions
import Logging
import Messages
import NIOCore
import NIOHTTP1
import NIOPosix
import Platform

/// What is served under one path.
struct FiguresPage {
  var isWell = true
  /// Its media type.
  var type: String
  var text: String
}

/// Serves figures over HTTP/1.1, to whoever reaches the address. What goes wrong with it disturbs nothing else.
/// Confined to its event loop.
final class FiguresServer {
  /// Connections at once; more are closed as they come.
  static let maxConnections = 16
  /// How long until an address that cannot be had is tried again.
  static let retryInterval = TimeAmount.seconds(10)
  /// The longest line or header, and all headers of a request together, in bytes.
  private static let maxHeaderBytes = 16_384

  private let address: ListenSettings
  private let loop: any EventLoop
  private let logger: Logger
  private let page: (String) -> FiguresPage?
  private var connections = 0
  private var lastFailure: String?

  /// - Parameter page: makes what is under a path; nil where nothing is.
  init(
    at address: ListenSettings, loop: any EventLoop, logger: Logger, page: @escaping (String) -> FiguresPage?
  ) {
    self.address = address
    self.loop = loop
    self.logger = logger
    self.page = page
  }

  /// Begins to listen, and goes on trying for as long as it cannot.
  func start() {
    let socket: Int32
    do {
      socket = try InternetSocket.bind(to: address.host, port: address.port).duplicate()
    } catch {
      failed("\(error)")
      return
    }
    let server = NIOLoopBound(self, eventLoop: loop)
    let logger = logger
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = Self.maxHeaderBytes
    limits.maxHeaderListSize = Self.maxHeaderBytes
    limits.maxHeaderFieldCount = 100
    ServerBootstrap(group: loop)
      .serverChannelOption(.backlog, value: Int32(Self.maxConnections))
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptRest(logger, "for the figures"))
        }
      }
      .childChannelInitializer { [limits] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
          try channel.pipeline.syncOperations.addHandler(server.value.accepted(channel))
        }
      }
      .withBoundSocket(socket)
      .assumeIsolated()
      .whenComplete { result in
        switch result {
        case .success: self.listens()
        case .failure(let error): self.failed("\(error)")
        }
      }
  }

  private func listens() {
    logger.log(LogEntry(lastFailure == nil ? .info : .notice, .figuresServed, "figures are served at \(address)"))
    lastFailure = nil
  }

  private func failed(_ reason: String) {
    if reason != lastFailure {
      lastFailure = reason
      logger.log(
        LogEntry(
          .error, .figuresServed,
          "figures cannot be served: \(reason); see what listens at \(address), or set [metrics] listen to another "
            + "address of this machine; tried again every \(Self.retryInterval.nanoseconds / 1_000_000_000) s"))
    }
    let server = NIOLoopBound(self, eventLoop: loop)
    loop.scheduleTask(in: Self.retryInterval) { server.value.start() }
  }

  private func accepted(_ channel: any NIOCore.Channel) -> FiguresHandler {
    guard connections < Self.maxConnections else { return FiguresHandler(page: nil) }
    connections += 1
    channel.closeFuture.assumeIsolated().whenComplete { _ in self.connections -= 1 }
    return FiguresHandler(page: page)
  }
}
