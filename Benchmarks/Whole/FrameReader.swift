import Glibc
import Messages
import Platform
import Rehearsal

/// What a WebSocket's client sends, read from a socket in large pieces: of each message no more than its head is
/// unmasked and looked at. Source: RFC 6455, section 5.
final class FrameReader {
  /// As much of a message as anybody here wants to see.
  static let headLimit = 192
  private static let capacity = 1 << 18

  private let buffer = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
  private var start = 0
  private var end = 0
  /// A message whose end is not there yet: what it begins with, and how many bytes of it are to come.
  private var begun: (opcode: UInt8, head: [UInt8], missing: Int)?

  deinit { buffer.deallocate() }

  /// Reads once. Returns false at the end of the stream.
  func fill(from socket: Descriptor) throws(SystemError) -> Bool {
    if start > 0 {
      memmove(buffer, buffer + start, end - start)
      (start, end) = (0, end - start)
    }
    let count = read(socket.number, buffer + end, Self.capacity - end)
    guard count >= 0 else {
      if errno == EAGAIN { return true }
      if errno == ECONNRESET { return false }
      throw SystemError("read", "from the sink's client")
    }
    end += count
    return count > 0
  }

  /// The request that a connection begins with, once all of it is there.
  func request() -> [UInt8]? {
    let bytes = UnsafeRawBufferPointer(start: buffer + start, count: end - start)
    let close = Array("\r\n\r\n".utf8)
    guard bytes.count >= close.count,
      let index = (0...bytes.count - close.count).first(where: { bytes[$0..<$0 + close.count].elementsEqual(close) })
    else { return nil }
    start += index + close.count
    return Array(bytes[..<(index + close.count)])
  }

  /// Hands out every message that is whole, by its opcode and its head.
  func messages(_ take: (UInt8, UnsafeRawBufferPointer) throws -> Void) throws {
    if let (opcode, head, missing) = begun {
      let count = min(missing, end - start)
      start += count
      begun = missing == count ? nil : (opcode, head, missing - count)
      guard missing == count else { return }
      try head.withUnsafeBytes { try take(opcode, $0) }
    }
    while end - start >= 6 {
      let bytes = buffer + start
      let first = bytes.load(as: UInt8.self)
      let second = bytes.load(fromByteOffset: 1, as: UInt8.self)
      guard first & 0x80 != 0, first & 0x70 == 0, second & 0x80 != 0 else {
        throw RehearsalError("a frame is not masked or not a whole message; the sink takes no others")
      }
      var length = Int(second & 0x7f)
      var header = 2
      if length == 126 {
        length = Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
        header = 4
      } else if length == 127 {
        guard end - start >= 14 else { return }
        length = Int(truncatingIfNeeded: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self)))
        header = 10
      }
      guard length >= 0 else { throw RehearsalError("a frame says that it is longer than any can be") }
      let headCount = min(length, Self.headLimit)
      guard end - start >= header + 4 + headCount else { return }
      let mask = bytes.loadUnaligned(fromByteOffset: header, as: UInt32.self)
      let head = bytes + header + 4
      unmask(head, headCount, mask)
      let there = end - start - header - 4
      let view = UnsafeRawBufferPointer(start: head, count: headCount)
      guard there >= length else {
        begun = (first & 0xf, Array(view), length - there)
        start = end
        return
      }
      start += header + 4 + length
      try take(first & 0xf, view)
    }
  }

  private func unmask(_ bytes: UnsafeMutableRawPointer, _ count: Int, _ mask: UInt32) {
    let wide = UInt64(mask) << 32 | UInt64(mask)
    var place = 0
    while place + 8 <= count {
      let word = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      bytes.storeBytes(of: word ^ wide, toByteOffset: place, as: UInt64.self)
      place += 8
    }
    while place < count {
      let byte = bytes.load(fromByteOffset: place, as: UInt8.self)
      let key = UInt8(truncatingIfNeeded: mask >> UInt32(8 * (place & 3)))
      bytes.storeBytes(of: byte ^ key, toByteOffset: place, as: UInt8.self)
      place += 1
    }
  }
}
