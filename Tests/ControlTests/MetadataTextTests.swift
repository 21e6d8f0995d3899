import ArgumentParser
import JSON
import MessagePack
import TestSupport
import Testing

@testable import Control

@Suite struct MetadataTextTests {
  @Test func everyKindOfValueComesOutAsItself() throws {
    let value = try MetadataText.parse(
      #"{"b": [true, null, -1, 1.5, 1e2, -0], "a": {"text": "ä\n", "b": {}}, "b": 18446744073709551615}"#)
    let pairs: [MessagePackPair] = [
      MessagePackPair(
        .string("b"), .array([.bool(true), .null, .int(-1), .float(1.5), .float(100), .int(0)])),
      MessagePackPair(
        .string("a"),
        .map([MessagePackPair(.string("text"), .string("ä\n")), MessagePackPair(.string("b"), .map([]))])),
      MessagePackPair(.string("b"), .uint(.max)),
    ]
    #expect(value == .map(pairs))
  }

  @Test func numbersAreExact() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed \(seed)")
    var generator = SplitMix64(state: seed)
    for _ in 0..<1000 {
      let bits = UInt64.random(in: .min ... .max, using: &generator) >> UInt64.random(in: 0...63, using: &generator)
      let signed = Int64(bitPattern: bits)
      #expect(try MetadataText.parse("\(signed)") == .int(signed))
      #expect(try MetadataText.parse("\(bits)") == (Int64(exactly: bits).map { .int($0) } ?? .uint(bits)))
      let double = Double(bitPattern: bits)
      if double.isFinite { #expect(try MetadataText.parse(FloatText.python(double)) == .float(double)) }
    }
  }

  @Test(arguments: [
    "", "{", "{'a': 1}", "NaN", "{\"a\": 1} x", "18446744073709551616", "-9223372036854775809", "1e999",
    String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
  ])
  func whatWouldNotComeOutAsItWentInIsRefused(text: String) {
    #expect(throws: ValidationError.self) { try MetadataText.parse(text) }
  }

  /// As deep as it may be, it still fits into the envelope as the service decodes it.
  @Test func theDeepestMetadataFitsItsEnvelope() throws {
    let metadata = try MetadataText.parse(
      String(repeating: "[", count: 29) + String(repeating: "]", count: 29))
    let key = MessagePackValue.string("k")
    var encoder = MessagePackEncoder()
    encoder.value(.map([MessagePackPair(key, .map([MessagePackPair(key, metadata)]))]))
    #expect(throws: Never.self) { try MessagePackValue.decode(encoder.bytes) }
  }
}
