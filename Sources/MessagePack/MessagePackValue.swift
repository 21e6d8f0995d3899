/// One MessagePack value, as decoded by libmsgpack-c.
///
/// Maps keep the order and the duplicates of the bytes they came from; what a duplicate key means is
/// for the caller to say. Source: https://github.com/msgpack/msgpack/blob/master/spec.md
public enum MessagePackValue: Sendable, Hashable {
  case null
  case bool(Bool)
  case int(Int64)
  /// Only for values above `Int64.max`; smaller ones are `int`.
  case uint(UInt64)
  case float(Double)
  case string(String)
  case binary([UInt8])
  case array([MessagePackValue])
  case map([MessagePackPair])
  case ext(Int8, [UInt8])

  /// The value of the last pair with this string key, or nil when this is no map or has no such key.
  public subscript(key: String) -> MessagePackValue? {
    guard case .map(let pairs) = self else { return nil }
    return pairs.last { $0.key == .string(key) }?.value
  }
}

/// One key and its value in a MessagePack map.
public struct MessagePackPair: Sendable, Hashable {
  public var key: MessagePackValue
  public var value: MessagePackValue

  public init(_ key: MessagePackValue, _ value: MessagePackValue) {
    self.key = key
    self.value = value
  }
}

/// What a caller allows one value to cost before anything is allocated for it.
public struct MessagePackLimits: Sendable, Hashable {
  /// Nested arrays and maps. libmsgpack-c's own stack holds 32 (`MSGPACK_EMBED_STACK_SIZE`).
  public var depth: Int
  /// Values of every kind, nested ones included. A value costs up to a hundred bytes once decoded, so this
  /// bounds what sixteen million one-byte values in one large frame could take.
  public var values: Int

  public init(depth: Int = 31, values: Int = 1 << 20) {
    self.depth = min(depth, 31)
    self.values = values
  }
}

/// Why bytes are not one MessagePack value within the limits. Offsets count bytes from the start.
public enum MessagePackError: Error, Hashable, CustomStringConvertible {
  case truncated(offset: Int)
  case trailing(bytes: Int)
  case reserved(offset: Int)
  case tooDeep(offset: Int, limit: Int)
  case tooManyValues(limit: Int)
  case notUTF8
  case outOfMemory

  public var description: String {
    switch self {
    case .truncated(let offset):
      "the value at byte \(offset) declares more than the frame holds; send the frame whole"
    case .trailing(let bytes): "\(bytes) bytes follow the value; send one value a frame"
    case .reserved(let offset): "byte \(offset) is 0xc1, which MessagePack never uses"
    case .tooDeep(let offset, let limit):
      "the value at byte \(offset) is nested deeper than \(limit) levels; flatten it"
    case .tooManyValues(let limit): "there are more than \(limit) values in the frame; send fewer"
    case .notUTF8: "a string is not UTF-8; send such bytes as binary"
    case .outOfMemory: "there was no memory to decode the frame"
    }
  }
}
