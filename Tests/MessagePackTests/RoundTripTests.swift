import MessagePack
import TestSupport
import Testing

@Suite struct RoundTripTests {
  /// The first and the last value of each width.
  static let boundaries: [MessagePackValue] =
    [
      0, 1, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, .max, -1, -32, -33, -128, -129,
      -32_768, -32_769, -2_147_483_648, -2_147_483_649, .min,
    ].map { .int($0) }
    + [UInt64(Int64.max) + 1, .max].map { .uint($0) }
    + [
      0, -0.0, 1.5, .pi, .infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0x1p-149,
    ].map { .float($0) }
    + [.null, .bool(true), .bool(false)]

  @Test(arguments: boundaries) func valuesAtTheEdgeOfAWidth(_ value: MessagePackValue) throws {
    #expect(try MessagePackValue.decode(encoded(value)) == value)
  }

  @Test(arguments: [0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65_535, 65_536])
  func everyKindOfEveryLength(_ count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let values: [MessagePackValue] = [
      .string(String(repeating: "x", count: count)), .binary(bytes), .ext(-1, bytes), .ext(127, bytes),
      .array((0..<count).map { .int(Int64($0)) }),
      .map((0..<count).map { MessagePackPair(.int(Int64($0)), .null) }),
    ]
    for value in values {
      let wire = encoded(value)
      #expect(try MessagePackValue.decode(wire) == value)
      // The same in the middle of a larger buffer.
      let embedded = [0xc1] + wire + [0xc1]
      #expect(try MessagePackValue.decode(embedded[1..<(embedded.count - 1)]) == value)
    }
  }

  @Test func negativeZeroAndNaNKeepTheirBits() throws {
    for number in [-0.0, Double.nan, Double(bitPattern: 0x7ff8_0000_0000_0001)] {
      guard case .float(let back) = try MessagePackValue.decode(encoded(.float(number))) else {
        Issue.record("no float")
        continue
      }
      #expect(back.bitPattern == number.bitPattern)
    }
  }

  /// A number that both kinds could hold comes back as `int`.
  @Test func smallUnsignedNumbersComeBackAsInt() throws {
    for number: UInt64 in [0, 255, 65_536, UInt64(Int64.max)] {
      #expect(try MessagePackValue.decode(encoded(.uint(number))) == .int(Int64(number)))
    }
  }

  @Test func randomValuesComeBackAsTheyWere() throws {
    let seed = testSeed("MessagePack round trips")
    var random = SplitMix64(state: seed)
    for round in 0..<2000 {
      let value = MessagePackValue.random(depth: 4, using: &random)
      #expect(try MessagePackValue.decode(encoded(value)) == value, "seed \(seed), round \(round)")
    }
  }

  @Test func orderAndDuplicatesOfAMapAreKept() throws {
    let map = MessagePackValue.map([
      MessagePackPair(.string("b"), .int(1)), MessagePackPair(.string("a"), .int(2)),
      MessagePackPair(.string("b"), .int(3)), MessagePackPair(.int(7), .int(4)),
    ])
    let back = try MessagePackValue.decode(encoded(map))
    #expect(back == map)
    #expect(back["b"] == .int(3))
    #expect(back["a"] == .int(2))
    #expect(back["c"] == nil)
    #expect(MessagePackValue.array([.string("b")])["b"] == nil)
  }

  /// Written field by field, a message is the same as written whole.
  @Test func theEncodersMethodsAgree() {
    var encoder = MessagePackEncoder()
    encoder.array(count: 9)
    encoder.null()
    encoder.bool(true)
    encoder.int(-5)
    encoder.uint(.max)
    encoder.float(1.5)
    encoder.string("é")
    encoder.binary([1, 2])
    encoder.ext(3, [4])
    encoder.map(count: 1)
    encoder.string("")
    encoder.binary([])
    #expect(
      encoder.bytes
        == encoded(
          .array([
            .null, .bool(true), .int(-5), .uint(.max), .float(1.5), .string("é"), .binary([1, 2]),
            .ext(3, [4]), .map([MessagePackPair(.string(""), .binary([]))]),
          ])))
  }
}
