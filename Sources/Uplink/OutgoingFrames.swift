import NIOCore

/// What is written to one Unix socket in a turn of the loop, which goes out together. Confined to its event loop.
final class OutgoingFrames {
  private let channel: any Channel
  private let limit: Int
  private var buffer: ByteBuffer

  /// - Parameter limit: what the peer may leave unread, in bytes: beyond it the socket is closed.
  init(_ channel: any Channel, limit: Int) {
    self.channel = channel
    self.limit = limit
    buffer = channel.allocator.buffer(capacity: 0)
  }

  /// Puts a frame behind what waits for `flush`. Returns whether it is the first.
  func write(_ frame: [UInt8]) -> Bool {
    defer { buffer.writeBytes(frame) }
    return buffer.readableBytes == 0
  }

  /// Sends what was written.
  func flush() {
    guard buffer.readableBytes > 0 else { return }
    channel.writeAndFlush(buffer, promise: nil)
    // The channel may hold it for as long as the peer does not read.
    buffer = channel.allocator.buffer(capacity: 0)
    guard !channel.isWritable, let waiting = try? channel.syncOptions?.getOption(.bufferedWritableBytes) else { return }
    if waiting > limit { channel.pipeline.fireErrorCaught(PeerDoesNotRead(bytes: waiting)) }
  }

  func close() { channel.close(promise: nil) }
}

/// More waits for a peer than it may leave unread.
struct PeerDoesNotRead: Error, CustomStringConvertible {
  var bytes: Int
  var description: String { "it does not read: \(bytes) bytes wait for it" }
}
