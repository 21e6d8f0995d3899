import CMessagePack

extension MessagePackValue {
  /// Decodes `bytes`, which must be one value and nothing else.
  ///
  /// Declared counts are checked against the bytes that are there before libmsgpack-c allocates anything.
  /// - Throws: `MessagePackError`; nothing is kept of a value that is refused.
  public static func decode(
    _ bytes: [UInt8], limits: MessagePackLimits = MessagePackLimits()
  ) throws(MessagePackError) -> MessagePackValue {
    try decode(bytes[...], limits: limits)
  }

  /// The same for a slice of a larger buffer.
  public static func decode(
    _ bytes: ArraySlice<UInt8>, limits: MessagePackLimits = MessagePackLimits()
  ) throws(MessagePackError) -> MessagePackValue {
    let result = bytes.withUnsafeBytes { buffer -> Result<MessagePackValue, MessagePackError> in
      do throws(MessagePackError) {
        return .success(try decode(buffer, limits: limits))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private static func decode(
    _ buffer: UnsafeRawBufferPointer, limits: MessagePackLimits
  ) throws(MessagePackError) -> MessagePackValue {
    let length = try MessagePackStructure.length(buffer, limits: limits)
    guard length == buffer.count else { throw .trailing(bytes: buffer.count - length) }

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
    return try MessagePackValue(object)
  }

  /// Nearly all text is ASCII, and needs no more than a look to be known as UTF-8.
  private static func text(_ bytes: UnsafeRawBufferPointer) -> String? {
    var all: UInt8 = 0
    for byte in bytes { all |= byte }
    return all < 0x80 ? String(decoding: bytes, as: UTF8.self) : String(validating: bytes, as: UTF8.self)
  }

  private init(_ object: msgpack_object) throws(MessagePackError) {
    switch object.type {
    case MSGPACK_OBJECT_NIL: self = .null
    case MSGPACK_OBJECT_BOOLEAN: self = .bool(object.via.boolean)
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: self = .int(object.via.i64)
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
      let number = object.via.u64
      self = Int64(exactly: number).map { .int($0) } ?? .uint(number)
    case MSGPACK_OBJECT_FLOAT32, MSGPACK_OBJECT_FLOAT64: self = .float(object.via.f64)
    case MSGPACK_OBJECT_STR:
      let body = UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
      guard let text = Self.text(body) else { throw .notUTF8 }
      self = .string(text)
    case MSGPACK_OBJECT_BIN:
      self = .binary(Array(UnsafeRawBufferPointer(start: object.via.bin.ptr, count: Int(object.via.bin.size))))
    case MSGPACK_OBJECT_EXT:
      self = .ext(
        object.via.ext.type,
        Array(UnsafeRawBufferPointer(start: object.via.ext.ptr, count: Int(object.via.ext.size))))
    case MSGPACK_OBJECT_ARRAY:
      var values: [MessagePackValue] = []
      values.reserveCapacity(Int(object.via.array.size))
      for element in UnsafeBufferPointer(start: object.via.array.ptr, count: Int(object.via.array.size)) {
        values.append(try MessagePackValue(element))
      }
      self = .array(values)
    case MSGPACK_OBJECT_MAP:
      var pairs: [MessagePackPair] = []
      pairs.reserveCapacity(Int(object.via.map.size))
      for pair in UnsafeBufferPointer(start: object.via.map.ptr, count: Int(object.via.map.size)) {
        pairs.append(MessagePackPair(try MessagePackValue(pair.key), try MessagePackValue(pair.val)))
      }
      self = .map(pairs)
    default:
      // The structure check lets no other kind through.
      self = .null
    }
  }
}
