import NIOCore

/// What is written to one Unix socket in a turn of the loop, which goes out together. Confined to its event loop.
final class OutgoingFrames {
  private let channel: any Channel
  private var buffer: ByteBuffer

  init(_ channel: any Channel) {
    self.channel = channel
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
  }

  func close() { channel.close(promise: nil) }
}
