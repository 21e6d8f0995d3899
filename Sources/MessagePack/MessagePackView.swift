import CMessagePack

/// A decoded value, looked at where libmsgpack-c has put it: nothing of it is copied.
///
/// It and whatever it gives out must not outlive the call of `decode(_:limits:_:)` that it was given in.
public struct MessagePackView {
  let object: msgpack_object

  /// Decodes `bytes`, which must be one value and nothing else, and lets `look` have it.
  ///
  /// Declared counts are checked against the bytes that are there before libmsgpack-c allocates anything.
  /// - Throws: `MessagePackError`; then `look` is not called.
  public static func decode<Result>(
    _ bytes: ArraySlice<UInt8>, limits: MessagePackLimits = MessagePackLimits(), _ look: (MessagePackView) -> Result
  ) throws(MessagePackError) -> Result {
    let result = bytes.withUnsafeBytes { buffer -> Swift.Result<Result, MessagePackError> in
      do throws(MessagePackError) {
        return .success(try decode(buffer, limits, look))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func decode<Result>(
    _ buffer: UnsafeRawBufferPointer, _ limits: MessagePackLimits, _ look: (MessagePackView) -> Result
  ) throws(MessagePackError) -> Result {
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
    return look(MessagePackView(object: object))
  }

  /// Whether it is null.
  public var isNull: Bool { object.type == MSGPACK_OBJECT_NIL }

  /// The bytes of a string, which are UTF-8; nil for any other value.
  public var utf8: UnsafeBufferPointer<UInt8>? {
    guard object.type == MSGPACK_OBJECT_STR else { return nil }
    let bytes = UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
    return bytes.assumingMemoryBound(to: UInt8.self)
  }

  /// Whether it is a string of these bytes.
  public func isString(_ text: [UInt8]) -> Bool {
    guard let utf8, utf8.count == text.count else { return false }
    return text.withUnsafeBytes { text in
      guard let left = utf8.baseAddress, let right = text.baseAddress else { return true }
      return memcmp(left, right, text.count) == 0
    }
  }

  /// The pairs of a map, in their order and with duplicates; nil for any other value.
  public var pairs: Pairs? {
    guard object.type == MSGPACK_OBJECT_MAP else { return nil }
    return Pairs(pairs: UnsafeBufferPointer(start: object.via.map.ptr, count: Int(object.via.map.size)))
  }

  /// A map's keys with their values.
  public struct Pairs: RandomAccessCollection {
    fileprivate let pairs: UnsafeBufferPointer<msgpack_object_kv>

    public var startIndex: Int { 0 }
    public var endIndex: Int { pairs.count }

    public subscript(place: Int) -> (key: MessagePackView, value: MessagePackView) {
      (MessagePackView(object: pairs[place].key), MessagePackView(object: pairs[place].val))
    }

    /// The value of the last pair with this string key.
    public func last(_ key: [UInt8]) -> MessagePackView? {
      for place in indices.reversed() where MessagePackView(object: pairs[place].key).isString(key) {
        return MessagePackView(object: pairs[place].val)
      }
      return nil
    }
  }
}
