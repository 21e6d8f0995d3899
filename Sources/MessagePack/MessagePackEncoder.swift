import CMessagePack

/// Writes MessagePack values one after the other with libmsgpack-c into memory it owns.
///
/// The caller says how many elements an array or a map has before it writes them. Running out of memory
/// ends the process, as any allocation in Swift does.
public struct MessagePackEncoder: ~Copyable {
  /// Bytes of the length that a frame begins with.
  private static let lengthSize = 4

  /// Room for a length, and what was written behind it. In a place of its own, which the packer is told.
  private let written: UnsafeMutablePointer<[UInt8]>
  private var packer = msgpack_packer()

  public init() {
    written = .allocate(capacity: 1)
    written.initialize(to: Array(repeating: 0, count: Self.lengthSize))
    msgpack_packer_init(&packer, written) { written, bytes, count in
      let bytes = UnsafeRawBufferPointer(start: bytes, count: count)
      written?.assumingMemoryBound(to: [UInt8].self).pointee.append(contentsOf: bytes)
      return 0
    }
  }

  deinit {
    written.deinitialize(count: 1)
    written.deallocate()
  }

  /// What has been written so far, as a copy.
  public var bytes: [UInt8] { Array(written.pointee.dropFirst(Self.lengthSize)) }

  /// What has been written so far, behind its length as 4 bytes big-endian: the frame of every stream socket here.
  public var framedBytes: [UInt8] {
    let length = UInt32(clamping: written.pointee.count - Self.lengthSize)
    written.pointee.withUnsafeMutableBytes { $0.storeBytes(of: length.bigEndian, as: UInt32.self) }
    return written.pointee
  }

  public mutating func null() { msgpack_pack_nil(&packer) }
  public mutating func bool(_ value: Bool) {
    _ = value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer)
  }
  public mutating func int(_ value: Int64) { msgpack_pack_int64(&packer, value) }
  public mutating func uint(_ value: UInt64) { msgpack_pack_uint64(&packer, value) }
  public mutating func float(_ value: Double) { msgpack_pack_double(&packer, value) }
  public mutating func array(count: Int) { msgpack_pack_array(&packer, count) }
  public mutating func map(count: Int) { msgpack_pack_map(&packer, count) }

  public mutating func string(_ value: String) {
    var value = value
    value.withUTF8 { _ = msgpack_pack_str_with_body(&packer, $0.baseAddress, $0.count) }
  }

  public mutating func binary(_ value: [UInt8]) {
    value.withUnsafeBytes { _ = msgpack_pack_bin_with_body(&packer, $0.baseAddress, $0.count) }
  }

  public mutating func ext(_ type: Int8, _ value: [UInt8]) {
    value.withUnsafeBytes { _ = msgpack_pack_ext_with_body(&packer, $0.baseAddress, $0.count, type) }
  }

  /// Writes any value, nested ones included.
  public mutating func value(_ value: MessagePackValue) {
    switch value {
    case .null: null()
    case .bool(let flag): bool(flag)
    case .int(let number): int(number)
    case .uint(let number): uint(number)
    case .float(let number): float(number)
    case .string(let text): string(text)
    case .binary(let bytes): binary(bytes)
    case .ext(let type, let bytes): ext(type, bytes)
    case .array(let values):
      array(count: values.count)
      for element in values { self.value(element) }
    case .map(let pairs):
      map(count: pairs.count)
      for pair in pairs {
        self.value(pair.key)
        self.value(pair.value)
      }
    }
  }
}
