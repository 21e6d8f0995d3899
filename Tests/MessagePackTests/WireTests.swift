import MessagePack
import Testing

/// Bytes against https://github.com/msgpack/msgpack/blob/master/spec.md, worked out by hand.
@Suite struct WireTests {
  static let written: [(MessagePackValue, [UInt8])] = [
    (.null, [0xc0]), (.bool(false), [0xc2]), (.bool(true), [0xc3]),
    (.int(0), [0x00]), (.int(127), [0x7f]), (.int(-1), [0xff]), (.int(-32), [0xe0]),
    (.int(128), [0xcc, 0x80]), (.int(255), [0xcc, 0xff]), (.int(256), [0xcd, 0x01, 0x00]),
    (.int(65_536), [0xce, 0x00, 0x01, 0x00, 0x00]),
    (.int(1 << 32), [0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
    (.uint(.max), [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    (.int(-33), [0xd0, 0xdf]), (.int(-129), [0xd1, 0xff, 0x7f]),
    (.int(-32_769), [0xd2, 0xff, 0xff, 0x7f, 0xff]),
    (.int(.min), [0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    (.float(1.5), [0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
    (.string(""), [0xa0]), (.string("é"), [0xa2, 0xc3, 0xa9]),
    (.string(String(repeating: "a", count: 32)), [0xd9, 32] + [UInt8](repeating: 0x61, count: 32)),
    (.string(String(repeating: "a", count: 256)), [0xda, 1, 0] + [UInt8](repeating: 0x61, count: 256)),
    (
      .string(String(repeating: "a", count: 65_536)),
      [0xdb, 0, 1, 0, 0] + [UInt8](repeating: 0x61, count: 65_536)
    ),
    (.binary([]), [0xc4, 0]), (.binary([1, 2]), [0xc4, 2, 1, 2]),
    (.binary([UInt8](repeating: 7, count: 256)), [0xc5, 1, 0] + [UInt8](repeating: 7, count: 256)),
    (
      .binary([UInt8](repeating: 7, count: 65_536)),
      [0xc6, 0, 1, 0, 0] + [UInt8](repeating: 7, count: 65_536)
    ),
    (.ext(5, [9]), [0xd4, 5, 9]), (.ext(-1, [1, 2]), [0xd5, 0xff, 1, 2]),
    (.ext(5, [1, 2, 3, 4]), [0xd6, 5, 1, 2, 3, 4]),
    (.ext(5, [UInt8](repeating: 1, count: 8)), [0xd7, 5] + [UInt8](repeating: 1, count: 8)),
    (.ext(5, [UInt8](repeating: 1, count: 16)), [0xd8, 5] + [UInt8](repeating: 1, count: 16)),
    (.ext(5, []), [0xc7, 0, 5]), (.ext(5, [1, 2, 3]), [0xc7, 3, 5, 1, 2, 3]),
    (.ext(5, [UInt8](repeating: 1, count: 256)), [0xc8, 1, 0, 5] + [UInt8](repeating: 1, count: 256)),
    (
      .ext(5, [UInt8](repeating: 1, count: 65_536)),
      [0xc9, 0, 1, 0, 0, 5] + [UInt8](repeating: 1, count: 65_536)
    ),
    (.array([]), [0x90]), (.array([.int(1), .null]), [0x92, 1, 0xc0]),
    (
      .array([MessagePackValue](repeating: .null, count: 16)),
      [0xdc, 0, 16] + [UInt8](repeating: 0xc0, count: 16)
    ),
    (
      .array([MessagePackValue](repeating: .null, count: 65_536)),
      [0xdd, 0, 1, 0, 0] + [UInt8](repeating: 0xc0, count: 65_536)
    ),
    (.map([]), [0x80]), (.map([MessagePackPair(.string("a"), .int(1))]), [0x81, 0xa1, 0x61, 1]),
    (
      .map([MessagePackPair](repeating: MessagePackPair(.int(1), .int(2)), count: 16)),
      [0xde, 0, 16] + [[UInt8]](repeating: [1, 2], count: 16).flatMap(\.self)
    ),
  ]

  @Test(arguments: written.indices) func bytesAreThoseOfTheSpecification(_ index: Int) throws {
    let (value, bytes) = Self.written[index]
    #expect(encoded(value) == bytes)
    #expect(try MessagePackValue.decode(bytes) == value)
  }

  /// Forms that nothing here writes, and others do.
  @Test func longerFormsThanNeededAreRead() throws {
    let cases: [([UInt8], MessagePackValue)] = [
      ([0xcc, 0x01], .int(1)), ([0xcd, 0, 1], .int(1)), ([0xce, 0, 0, 0, 1], .int(1)),
      ([0xcf, 0, 0, 0, 0, 0, 0, 0, 1], .int(1)), ([0xd0, 1], .int(1)), ([0xd1, 0, 1], .int(1)),
      ([0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], .int(-1)),
      ([0xca, 0x3f, 0xc0, 0, 0], .float(1.5)), ([0xd9, 1, 0x61], .string("a")),
      ([0xda, 0, 1, 0x61], .string("a")),
      ([0xdb, 0, 0, 0, 1, 0x61], .string("a")), ([0xdc, 0, 1, 0xc0], .array([.null])),
      ([0xdd, 0, 0, 0, 0], .array([])),
      ([0xdf, 0, 0, 0, 1, 1, 2], .map([MessagePackPair(.int(1), .int(2))])),
      ([0xc9, 0, 0, 0, 0, 7], .ext(7, [])),
    ]
    for (bytes, value) in cases { #expect(try MessagePackValue.decode(bytes) == value) }
  }
}
