public import CMessagePack

/// A decoded value, looked at where libmsgpack-c has put it: nothing of it is copied.
///
/// It and whatever it gives out must not outlive the call of `decode(_:limits:_:)` that it was given in.
public struct MessagePackView {
  @usableFromInline let object: msgpack_object

  @usableFromInline init(object: msgpack_object) { self.object = object }

  /// Decodes `bytes`, which must be one value and nothing else, and lets `look` have it.
  ///
  /// Declared counts are checked against the bytes that are there before libmsgpack-c allocates anything.
  /// - Throws: `MessagePackError`; then `look` is not called.
  public static func decode(
    _ bytes: ArraySlice<UInt8>, limits: MessagePackLimits = MessagePackLimits(), _ look: (MessagePackView) -> Void
  ) throws(MessagePackError) {
    let problem = bytes.withUnsafeBytes { buffer -> MessagePackError? in
      do throws(MessagePackError) {
        try decode(buffer, limits, look)
        return nil
      } catch {
        return error
      }
    }
    if let problem { throw problem }
  }

  private static func decode(
    _ buffer: UnsafeRawBufferPointer, _ limits: MessagePackLimits, _ look: (MessagePackView) -> Void
  ) throws(MessagePackError) {
    try MessagePackStructure.check(buffer, limits: limits)

    // For most frames one small piece of memory is enough; the library's own default is 8 KiB.
    var zone = msgpack_zone()
    guard msgpack_zone_init(&zone, 512) else { throw .outOfMemory }
    defer { msgpack_zone_destroy(&zone) }
    var object = msgpack_object()
    var offset = 0
    let outcome = msgpack_unpack(
      buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, &offset, &zone, &object)
    // The structure is known to be whole, so all that is left to fail is memory.
    guard outcome == MSGPACK_UNPACK_SUCCESS else { throw .outOfMemory }
    look(MessagePackView(object: object))
  }

  /// Whether it is null.
  @inlinable public var isNull: Bool { object.type == MSGPACK_OBJECT_NIL }

  /// The bytes of a string, which are UTF-8; nil for any other value.
  @inlinable public var utf8: UnsafeBufferPointer<UInt8>? {
    guard object.type == MSGPACK_OBJECT_STR else { return nil }
    let bytes = UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
    return bytes.assumingMemoryBound(to: UInt8.self)
  }

  /// Whether it is a string of these bytes.
  @inlinable public func isString(_ text: [UInt8]) -> Bool { text.withUnsafeBufferPointer { isString($0) } }

  /// Whether it is this string, byte for byte.
  public func isString(_ text: String) -> Bool {
    var text = text
    return text.withUTF8 { isString($0) }
  }

  @inlinable func isString(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let utf8, utf8.count == text.count else { return false }
    guard let left = utf8.baseAddress, let right = text.baseAddress else { return true }
    return memcmp(left, right, text.count) == 0
  }

  /// The bytes of a string or of binary; nil for any other value.
  @inlinable public var bytes: UnsafeBufferPointer<UInt8>? {
    guard object.type == MSGPACK_OBJECT_BIN else { return utf8 }
    let bytes = UnsafeRawBufferPointer(start: object.via.bin.ptr, count: Int(object.via.bin.size))
    return bytes.assumingMemoryBound(to: UInt8.self)
  }

  /// The pairs of a map, in their order and with duplicates; nil for any other value.
  @inlinable public var pairs: Pairs? {
    guard object.type == MSGPACK_OBJECT_MAP else { return nil }
    return Pairs(pairs: UnsafeBufferPointer(start: object.via.map.ptr, count: Int(object.via.map.size)))
  }

  /// One key and its value in a map.
  public struct Pair {
    public var key: MessagePackView
    public var value: MessagePackView

    @usableFromInline init(key: MessagePackView, value: MessagePackView) { (self.key, self.value) = (key, value) }
  }

  /// A map's keys with their values.
  public struct Pairs: RandomAccessCollection {
    @usableFromInline let pairs: UnsafeBufferPointer<msgpack_object_kv>

    @usableFromInline init(pairs: UnsafeBufferPointer<msgpack_object_kv>) { self.pairs = pairs }

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { pairs.count }

    @inlinable public subscript(place: Int) -> Pair {
      Pair(key: MessagePackView(object: pairs[place].key), value: MessagePackView(object: pairs[place].val))
    }
  }
}
