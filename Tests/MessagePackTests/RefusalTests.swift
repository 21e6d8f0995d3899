import MessagePack
import TestSupport
import Testing

@Suite struct RefusalTests {
  private func isTruncated(_ error: MessagePackError?) -> Bool {
    if case .truncated = error { true } else { false }
  }

  @Test func everyPrefixOfAValueIsTruncated() {
    let seed = testSeed("MessagePack truncation")
    var random = SplitMix64(state: seed)
    for round in 0..<150 {
      let whole = encoded(.random(depth: 3, using: &random))
      for end in stride(from: 0, to: whole.count, by: whole.count > 2000 ? 7 : 1) {
        let error = refusal(Array(whole[..<end]))
        #expect(
          isTruncated(error),
          "seed \(seed), round \(round), \(end) of \(whole.count) bytes: \(String(describing: error))")
      }
    }
  }

  @Test func everyPrefixOfEachHeaderIsTruncated() {
    // Two bytes of content behind the widest header: each prefix lacks something.
    for first in UInt8.min ... .max where first != 0xc1 {
      let one = refusal([first])
      let isWhole = first < 0x80 || first >= 0xe0 || [0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xc3].contains(first)
      #expect(isWhole ? one == nil : isTruncated(one), "\(first)")
    }
    for (first, width) in [
      (0xc6, 4), (0xc9, 4), (0xdb, 4), (0xdd, 4), (0xdf, 4), (0xcf, 8), (0xcb, 8), (0xd8, 17),
    ] {
      for count in 0..<width {
        #expect(
          isTruncated(refusal([UInt8(first)] + [UInt8](repeating: 1, count: count))), "\(first), \(count)")
      }
    }
  }

  @Test func theOffsetOfWhatIsMissingIsTold() {
    #expect(refusal([]) == .truncated(offset: 0))
    #expect(refusal([0x92, 1]) == .truncated(offset: 0))
    #expect(refusal([0x92, 1, 0xd9]) == .truncated(offset: 2))
    #expect(refusal([0x92, 1, 0xa5, 0x61]) == .truncated(offset: 2))
  }

  @Test func trailingBytesAreCounted() {
    #expect(refusal([0x01, 0x02]) == .trailing(bytes: 1))
    #expect(refusal([0x90, 0xc1, 0xc1, 0xc1]) == .trailing(bytes: 3))
    #expect(refusal([0xa1, 0x61, 0xa1]) == .trailing(bytes: 1))
  }

  @Test func theByteThatIsNeverUsedIsRefused() {
    #expect(refusal([0xc1]) == .reserved(offset: 0))
    #expect(refusal([0x93, 1, 0xc1, 1]) == .reserved(offset: 2))
    #expect(refusal([0x81, 0xa1, 0x61, 0xc1]) == .reserved(offset: 3))
  }

  /// Headers of five bytes that ask for four billion of something, with all limits as high as they go: were
  /// one given to libmsgpack-c, it would ask for 64 GB and more, and that is another error than this one.
  @Test(arguments: [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] as [UInt8]) func fourBillionIsRefused(_ first: UInt8) {
    let header = [first, 0xff, 0xff, 0xff, 0xff]
    let limits = MessagePackLimits(depth: .max, values: .max)
    #expect(refusal(header, limits: limits) == .truncated(offset: 0))
    // Also with something behind it, within other containers, and as a map's key.
    #expect(refusal(header + [UInt8](repeating: 0, count: 1000), limits: limits) == .truncated(offset: 0))
    #expect(refusal([0x91] + header, limits: limits) == .truncated(offset: 1))
    #expect(refusal([0x82, 1, 2] + header + [0], limits: limits) == .truncated(offset: 3))
    #expect(refusal([0xdc, 0, 3, 0x91, 0x91] + header, limits: limits) != nil)
    // A list of them, each header claiming what is left of the frame for itself.
    let many = [0xdc, 0x03, 0xe8] + [[UInt8]](repeating: header, count: 1000).flatMap(\.self)
    #expect(refusal(many, limits: limits) == .truncated(offset: 3))
  }

  /// What is declared is within the bytes that are there, each time anew: only the limit on values stops it.
  @Test func countsThatOverlapAreRefused() {
    // 30 arrays, each declaring the 1000 bytes that are left: true for each alone, and impossible together.
    var bytes: [UInt8] = []
    for _ in 0..<30 { bytes += [0xdd, 0, 0, 0x03, 0xe8] }
    bytes += [UInt8](repeating: 0xc0, count: 1000)
    #expect(isTruncated(refusal(bytes)))
  }

  @Test func depthIsLimitedExactly() throws {
    for limit in [1, 2, 5, 30, 31] {
      let limits = MessagePackLimits(depth: limit)
      #expect(refusal(nestedArrays(limit), limits: limits) == nil)
      #expect(refusal(nestedArrays(limit + 1), limits: limits) == .tooDeep(offset: limit, limit: limit))
      // Beside each other they are not nested; scalars are no level.
      #expect(refusal([0x93] + (limit == 1 ? [1, 2, 3] : [0x90, 0x80, 0x91, 1]), limits: limits) == nil)
    }
    #expect(refusal([0x01], limits: MessagePackLimits(depth: 0)) == nil)
    #expect(refusal([0x90], limits: MessagePackLimits(depth: 0)) == .tooDeep(offset: 0, limit: 0))
    #expect(refusal([UInt8](repeating: 0x81, count: 100_000)) == .tooDeep(offset: 31, limit: 31))
  }

  /// libmsgpack-c's own stack holds what our limit lets through: arrays, maps by their value and by their key.
  @Test func theLibraryTakesAsManyLevelsAsWeLetThrough() throws {
    #expect(MessagePackLimits().depth == 31)
    #expect(MessagePackLimits(depth: 1000).depth == 31)
    let arrays = [UInt8](repeating: 0x91, count: 31) + [0x01]
    let mapsByValue = [[UInt8]](repeating: [0x81, 0xa1, 0x61], count: 31).flatMap(\.self) + [0x01]
    let mapsByKey = [UInt8](repeating: 0x81, count: 31) + [0x01] + [UInt8](repeating: 0x02, count: 31)
    for bytes in [arrays, mapsByValue, mapsByKey, nestedArrays(31)] {
      #expect(encoded(try MessagePackValue.decode(bytes)) == bytes)
    }
  }

  @Test func valuesAreLimitedExactly() {
    let limits = MessagePackLimits(values: 4)
    #expect(refusal([0x93, 1, 2, 3], limits: limits) == nil)
    #expect(refusal([0x94, 1, 2, 3, 4], limits: limits) == .tooManyValues(limit: 4))
    #expect(refusal([0x92, 0x91, 1, 2], limits: limits) == nil)
    #expect(refusal([0x82, 1, 2, 3, 4], limits: limits) == .tooManyValues(limit: 4))
    let million = [0xdd, 0x00, 0x10, 0x00, 0x00] + [UInt8](repeating: 0xc0, count: 1 << 20)
    #expect(refusal(million) == .tooManyValues(limit: 1 << 20))
  }

  @Test func stringsThatAreNotUTF8AreRefused() {
    let bad: [[UInt8]] = [
      [0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0x80],
    ]
    for text in bad {
      let wire = [0xa0 | UInt8(text.count)] + text
      #expect(refusal(wire) == .notUTF8, "\(text)")
      #expect(refusal([0x92, 1] + wire) == .notUTF8)
      #expect(refusal([0x81] + wire + [1]) == .notUTF8)
      #expect(refusal([0xc4, UInt8(text.count)] + text) == nil)
    }
  }

  @Test func arbitraryBytesAreTakenOrRefused() {
    let seed = testSeed("MessagePack noise")
    var random = SplitMix64(state: seed)
    for round in 0..<20_000 {
      var bytes: [UInt8]
      if Bool.random(using: &random) {
        bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      } else {
        bytes = encoded(.random(depth: 2, using: &random))
        bytes[.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      guard let value = try? MessagePackValue.decode(bytes) else { continue }
      // What is taken is a value: it can be written, and written it is the same (a NaN is not).
      let again = encoded(value)
      #expect(
        (try? MessagePackValue.decode(again)).map { encoded($0) } == again, "seed \(seed), round \(round)")
    }
  }

  @Test func eachErrorSaysWhatToDo() {
    let errors: [MessagePackError] = [
      .truncated(offset: 1), .trailing(bytes: 2), .reserved(offset: 3), .tooDeep(offset: 4, limit: 31),
      .tooManyValues(limit: 5), .notUTF8, .outOfMemory,
    ]
    #expect(Set(errors.map(\.description)).count == errors.count)
    #expect(errors.allSatisfy { $0.description.count > 20 })
  }
}
