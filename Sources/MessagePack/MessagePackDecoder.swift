import CMessagePack

extension MessagePackValue {
  /// Decodes `bytes`, which must be one value and nothing else.
  ///
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
    var value = MessagePackValue.null
    try MessagePackView.decode(bytes, limits: limits) { value = MessagePackValue($0) }
    return value
  }

  /// A copy of what is looked at.
  public init(_ view: MessagePackView) { self.init(view.object) }

  private init(_ object: msgpack_object) {
    switch object.type {
    case MSGPACK_OBJECT_NIL: self = .null
    case MSGPACK_OBJECT_BOOLEAN: self = .bool(object.via.boolean)
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: self = .int(object.via.i64)
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
      let number = object.via.u64
      self = Int64(exactly: number).map { .int($0) } ?? .uint(number)
    case MSGPACK_OBJECT_FLOAT32, MSGPACK_OBJECT_FLOAT64: self = .float(object.via.f64)
    case MSGPACK_OBJECT_STR:
      let text = UnsafeRawBufferPointer(start: object.via.str.ptr, count: Int(object.via.str.size))
      self = .string(String(decoding: text, as: UTF8.self))
    case MSGPACK_OBJECT_BIN:
      self = .binary(Array(UnsafeRawBufferPointer(start: object.via.bin.ptr, count: Int(object.via.bin.size))))
    case MSGPACK_OBJECT_EXT:
      self = .ext(
        object.via.ext.type,
        Array(UnsafeRawBufferPointer(start: object.via.ext.ptr, count: Int(object.via.ext.size))))
    case MSGPACK_OBJECT_ARRAY:
      let elements = UnsafeBufferPointer(start: object.via.array.ptr, count: Int(object.via.array.size))
      self = .array(elements.map { MessagePackValue($0) })
    case MSGPACK_OBJECT_MAP:
      let pairs = UnsafeBufferPointer(start: object.via.map.ptr, count: Int(object.via.map.size))
      self = .map(pairs.map { MessagePackPair(MessagePackValue($0.key), MessagePackValue($0.val)) })
    default:
      // The structure check lets no other kind through.
      self = .null
    }
  }
}
