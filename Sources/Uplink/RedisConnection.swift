import Messages
import NIOCore
import NIOPosix
import Redis
import RedisReading

/// A connection to a Redis server: commands in, replies out. Confined to its event loop; never opened twice.
final class RedisConnection: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  enum Event {
    case connected
    case reply(RedisReply)
    /// It is over, or could not be made; said once, last of all.
    case lost(String)
  }

  private let loop: any EventLoop
  private let reader: RedisReader
  private let handle: (Event) -> Void
  private var channel: (any Channel)?
  private var isOver = false

  /// - Parameters:
  ///   - limit: of one reply, in bytes.
  ///   - handle: is called on `loop` with what happens.
  init(limit: Int, loop: any EventLoop, handle: @escaping (Event) -> Void) throws(RedisProtocolError) {
    self.loop = loop
    self.handle = handle
    reader = try RedisReader(limit: limit)
  }

  /// Begins to connect. How long that may take is for its owner to say.
  func open(_ server: RedisServer) {
    let connection = NIOLoopBound(self, eventLoop: loop)
    let bootstrap = ClientBootstrap(group: loop)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(connection.value) }
      }
    let opened: EventLoopFuture<any Channel> =
      switch server.place {
      case .name(let host, let port), .address(let host, let port): bootstrap.connect(host: host, port: port)
      case .socket(let path): bootstrap.connect(unixDomainSocketPath: path)
      }
    opened.whenComplete { result in
      switch result {
      case .success(let channel): connection.value.opened(channel)
      case .failure(let error): connection.value.lost("\(error)")
      }
    }
  }

  private func opened(_ channel: any Channel) {
    self.channel = channel
    // It was given up on while it was being made.
    guard !isOver else { return channel.close(promise: nil) }
    handle(.connected)
  }

  func send(_ commands: [RedisCommand]) {
    guard let channel else { return }
    for command in commands { channel.write(channel.allocator.buffer(bytes: command.encoded), promise: nil) }
    channel.flush()
  }

  /// Ends it. Nothing is reported any more.
  func drop() {
    isOver = true
    channel?.close(promise: nil)
  }

  private func lost(_ reason: String) {
    guard !isOver else { return }
    drop()
    handle(.lost(reason))
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do {
      try reader.feed(Array(unwrapInboundIn(data).readableBytesView))
      while !isOver, let reply = try reader.next() { handle(.reply(reply)) }
    } catch {
      lost("\(error)")
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { lost("\(error)") }

  func channelInactive(context: ChannelHandlerContext) { lost("the connection was closed") }
}
