/// Cuts a byte stream into frames: a 4-byte big-endian length and as many bytes.
///
/// It holds at most one incomplete frame and what was appended with it; a length above the limit is refused
/// before anything is kept for it.
public struct FrameAssembler: Sendable {
  private var buffer: [UInt8] = []
  private var start = 0
  /// Bytes of a refused frame that are still to come and are not kept.
  private var skipping = 0
  /// The largest body accepted, in bytes.
  public var limit: Int

  /// As much room is kept for the next frame, in bytes. There may be many connections.
  private static let keptCapacity = 1 << 13

  public init(limit: Int) { self.limit = limit }

  /// How many bytes wait for the rest of their frame.
  public var pendingBytes: Int { buffer.count - start }

  /// How much memory is kept, in bytes.
  var capacity: Int { buffer.capacity }

  @inlinable
  public mutating func append(_ bytes: some Collection<UInt8>) {
    // What is read from a socket lies in one piece, and is copied as one.
    if bytes.withContiguousStorageIfAvailable({ append(UnsafeRawBufferPointer($0)) }) == nil { append(Array(bytes)) }
  }

  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    let skipped = min(skipping, bytes.count)
    skipping -= skipped
    buffer.append(contentsOf: bytes.dropFirst(skipped))
  }

  /// Passes over the frame that `next` has refused as too large, so that the one behind it can be read.
  public mutating func skip(declared: Int) {
    let here = min(pendingBytes, 4 + declared)
    start += here
    skipping = 4 + declared - here
  }

  /// The next whole frame's body, or nil until more bytes have come.
  /// - Throws: `FrameError.tooLarge`, again and again until `skip` is called.
  public mutating func next() throws(FrameError) -> ArraySlice<UInt8>? {
    guard pendingBytes >= 4 else {
      compact()
      return nil
    }
    let length = buffer[start..<(start + 4)].reduce(0) { $0 << 8 | Int($1) }
    guard length <= limit else { throw .tooLarge(declared: length, limit: limit) }
    guard pendingBytes >= 4 + length else {
      compact()
      return nil
    }
    let body = buffer[(start + 4)..<(start + 4 + length)]
    start += 4 + length
    return body
  }

  /// Drops what has been handed out although whole frames are left, for whoever asks for no more of them for now. Nothing is
  /// done for little, so that a byte is not moved again and again.
  public mutating func giveBack() { if start > Self.keptCapacity { compact() } }

  /// Drops what has been handed out. Called when no whole frame is left, so that each byte moves at most once.
  private mutating func compact() {
    guard start > 0 else { return }
    if start == buffer.count {
      // A buffer that one large frame has grown is given back.
      if buffer.capacity > Self.keptCapacity { buffer = [] } else { buffer.removeAll(keepingCapacity: true) }
    } else if buffer.capacity > max(Self.keptCapacity, 2 * pendingBytes) {
      buffer = Array(buffer[start...])
    } else {
      buffer.removeFirst(start)
    }
    start = 0
  }
}
