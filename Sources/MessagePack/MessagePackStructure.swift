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
  }

  /// Checks that `bytes` begin with one whole value within `limits`.
  /// - Returns: the length of that value in bytes.
  static func length(
    _ bytes: UnsafeRawBufferPointer, limits: MessagePackLimits
  ) throws(MessagePackError) -> Int {
    var offset = 0
    var values = 0
    // One entry for each open container: how many of its values are still to come.
    var open: [Int] = []
    repeat {
      let header = try header(bytes, at: offset)
      values += 1
      guard values <= limits.values else { throw .tooManyValues(limit: limits.values) }
      let left = bytes.count - offset - header.size
      // A nested value takes a byte at least, so a count above what is left cannot be true.
      guard header.body <= left, header.children <= left else { throw .truncated(offset: offset) }
      if header.nests, open.count >= limits.depth {
        throw .tooDeep(offset: offset, limit: limits.depth)
      }
      offset += header.size + header.body
      if header.children > 0 {
        open.append(header.children)
      } else {
        while let last = open.indices.last {
          open[last] -= 1
          if open[last] > 0 { break }
          open.removeLast()
        }
      }
    } while !open.isEmpty
    return offset
  }

  private static func header(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(MessagePackError) -> Header {
    guard offset < bytes.count else { throw .truncated(offset: offset) }
    /// The big-endian unsigned number of `width` bytes behind the first one.
    func declared(_ width: Int) throws(MessagePackError) -> Int {
      guard bytes.count - offset > width else { throw .truncated(offset: offset) }
      return bytes[(offset + 1)...(offset + width)].reduce(0) { $0 << 8 | Int($1) }
    }
    func map(_ count: Int, size: Int) -> Header { Header(size: size, children: 2 * count, nests: true) }
    func array(_ count: Int, size: Int) -> Header { Header(size: size, children: count, nests: true) }

    let first = bytes[offset]
    switch first {
    case 0x00...0x7f, 0xe0...0xff, 0xc0, 0xc2, 0xc3: return Header(size: 1)
    case 0x80...0x8f: return map(Int(first & 0x0f), size: 1)
    case 0x90...0x9f: return array(Int(first & 0x0f), size: 1)
    case 0xa0...0xbf: return Header(size: 1, body: Int(first & 0x1f))
    case 0xc4, 0xd9: return Header(size: 2, body: try declared(1))
    case 0xc5, 0xda: return Header(size: 3, body: try declared(2))
    case 0xc6, 0xdb: return Header(size: 5, body: try declared(4))
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
