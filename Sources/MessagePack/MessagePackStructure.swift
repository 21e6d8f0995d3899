/// A walk over the headers of one MessagePack value that allocates nothing for it.
///
/// libmsgpack-c allocates what a header declares before it has seen the elements: five bytes can ask it for
/// 96 GB (msgpack-c issue 1013). So every declared length and count is held against the bytes that are
/// there first, and only then is the library given the value.
enum MessagePackStructure {
  /// What one header says: how many bytes follow it and how many values are nested in it.
  private struct Header {
    var size: Int
    var body = 0
    var children = 0
    var nests = false
    /// Whether the bytes that follow it are a string's.
    var isText = false
  }

  /// Checks that `bytes` are one whole value within `limits` and nothing else, and that its strings are UTF-8.
  static func check(_ bytes: UnsafeRawBufferPointer, limits: MessagePackLimits) throws(MessagePackError) {
    var walk = Walk(bytes: bytes, limits: limits)
    try walk.value(depth: 0)
    guard walk.offset == bytes.count else { throw .trailing(bytes: bytes.count - walk.offset) }
    guard walk.isUTF8 else { throw .notUTF8 }
  }

  private struct Walk {
    let bytes: UnsafeRawBufferPointer
    let limits: MessagePackLimits
    var offset = 0
    var values = 0
    var isUTF8 = true

    /// Steps over one value and those in it; `limits.depth` bounds the recursion.
    mutating func value(depth: Int) throws(MessagePackError) {
      let header = try header(bytes, at: offset)
      values += 1
      guard values <= limits.values else { throw .tooManyValues(limit: limits.values) }
      let left = bytes.count - offset - header.size
      // A nested value takes a byte at least, so a count above what is left cannot be true.
      guard header.body <= left, header.children <= left else { throw .truncated(offset: offset) }
      if header.nests, depth >= limits.depth { throw .tooDeep(offset: offset, limit: limits.depth) }
      offset += header.size
      if header.isText {
        isUTF8 =
          isUTF8 && MessagePackStructure.isUTF8(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + header.body]))
      }
      offset += header.body
      for _ in 0..<header.children { try value(depth: depth + 1) }
    }
  }

  /// Nearly all text is ASCII, and needs no more than a look to be known as UTF-8.
  private static func isUTF8(_ text: UnsafeRawBufferPointer) -> Bool {
    var all: UInt64 = 0
    var offset = 0
    while text.count - offset >= 8 {
      all |= text.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      offset += 8
    }
    while offset < text.count {
      all |= UInt64(text[offset])
      offset += 1
    }
    return all & 0x8080_8080_8080_8080 == 0 || String(validating: text, as: UTF8.self) != nil
  }

  private static func header(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(MessagePackError) -> Header {
    guard offset < bytes.count else { throw .truncated(offset: offset) }
    /// The big-endian unsigned number of `width` bytes behind the first one.
    func declared(_ width: Int) throws(MessagePackError) -> Int {
      guard bytes.count - offset > width else { throw .truncated(offset: offset) }
      var number = 0
      for place in offset + 1...offset + width { number = number << 8 | Int(bytes[place]) }
      return number
    }
    func map(_ count: Int, size: Int) -> Header { Header(size: size, children: 2 * count, nests: true) }
    func array(_ count: Int, size: Int) -> Header { Header(size: size, children: count, nests: true) }
    func text(_ count: Int, size: Int) -> Header { Header(size: size, body: count, isText: true) }

    let first = bytes[offset]
    switch first {
    case 0x00...0x7f, 0xe0...0xff, 0xc0, 0xc2, 0xc3: return Header(size: 1)
    case 0x80...0x8f: return map(Int(first & 0x0f), size: 1)
    case 0x90...0x9f: return array(Int(first & 0x0f), size: 1)
    case 0xa0...0xbf: return text(Int(first & 0x1f), size: 1)
    case 0xc4: return Header(size: 2, body: try declared(1))
    case 0xc5: return Header(size: 3, body: try declared(2))
    case 0xc6: return Header(size: 5, body: try declared(4))
    case 0xd9: return text(try declared(1), size: 2)
    case 0xda: return text(try declared(2), size: 3)
    case 0xdb: return text(try declared(4), size: 5)
    case 0xc7: return Header(size: 2, body: try declared(1) + 1)
    case 0xc8: return Header(size: 3, body: try declared(2) + 1)
    case 0xc9: return Header(size: 5, body: try declared(4) + 1)
    case 0xcc, 0xd0: return Header(size: 1, body: 1)
    case 0xcd, 0xd1: return Header(size: 1, body: 2)
    case 0xce, 0xd2, 0xca: return Header(size: 1, body: 4)
    case 0xcf, 0xd3, 0xcb: return Header(size: 1, body: 8)
    case 0xd4...0xd8: return Header(size: 1, body: 1 + 1 << Int(first - 0xd4))
    case 0xdc: return array(try declared(2), size: 3)
    case 0xdd: return array(try declared(4), size: 5)
    case 0xde: return map(try declared(2), size: 3)
    case 0xdf: return map(try declared(4), size: 5)
    default: throw .reserved(offset: offset)
    }
  }
}
