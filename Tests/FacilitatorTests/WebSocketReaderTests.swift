import Facilitator
import TestSupport
import Testing

/// What a server sends is held to RFC 6455, however it is cut into pieces.
@Suite struct WebSocketReaderTests {
  private typealias Item = WebSocketReader.Item

  /// All that comes out, and what ends it.
  private func read(_ bytes: [UInt8], pieces: Int = .max, kept: Int = 1000, longest: Int = 3000) -> (
    [Item], WebSocketViolation?
  ) {
    var reader = WebSocketReader(kept: kept, longest: longest)
    var items: [Item] = []
    var violation: WebSocketViolation?
    var rest = bytes[...]
    while !rest.isEmpty, violation == nil {
      let piece = Array(rest.prefix(pieces))
      rest = rest.dropFirst(piece.count)
      piece.withUnsafeBytes { buffer in
        var input = buffer
        do throws(WebSocketViolation) { while let item = try reader.next(&input) { items.append(item) } } catch {
          violation = error
        }
      }
    }
    return (items, violation)
  }

  private func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    switch payload.count {
    case ..<126: [first, UInt8(payload.count)] + payload
    default: [first, 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)] + payload
    }
  }

  private func text(_ words: String) -> [UInt8] { Array(words.utf8) }

  @Test(arguments: [1, 2, 3, 7, 64, .max]) func whatIsWholeComesOutInItsOrder(pieces: Int) {
    let long = [UInt8](repeating: UInt8(ascii: "x"), count: 900)
    let bytes =
      frame(0x81, text("one")) + frame(0x01, text("t")) + frame(0x89, text("ping")) + frame(0x00, text("w"))
      + frame(0x8a, []) + frame(0x80, text("o")) + frame(0x81, []) + frame(0x82, [0xff]) + frame(0x81, long)
      + frame(0x81, long + long) + frame(0x01, long) + frame(0x80, long) + frame(0x88, [3, 232] + text("bye"))
    let (items, violation) = read(bytes, pieces: pieces)
    #expect(violation == nil)
    #expect(
      items == [
        .text(text("one")), .ping(text("ping")), .pong([]), .text(text("two")), .text([]), .binary(1), .text(long),
        .tooLarge(beginning: long + long, 1800), .tooLarge(beginning: long + long, 1800),
        .close(code: 1000, reason: text("bye")),
      ])
  }

  @Test func whatIsNotAllowedIsNamed() {
    let cases: [([UInt8], WebSocketViolation)] = [
      ([0xc1, 0], .reservedBits), ([0xa1, 0], .reservedBits), ([0x91, 0], .reservedBits), ([0xc9, 0], .reservedBits),
      ([0x83, 0], .reservedOpcode(3)), ([0x87, 0], .reservedOpcode(7)), ([0x8b, 0], .reservedOpcode(11)),
      ([0x8f, 0], .reservedOpcode(15)), ([0x81, 0x80, 0, 0, 0, 0], .masked), ([0x89, 0x80, 0, 0, 0, 0], .masked),
      ([0x09, 0], .fragmentedControl), ([0x08, 0], .fragmentedControl), ([0x89, 126, 0, 126], .longControl),
      ([0x80, 0], .strayContinuation), ([0x00, 0], .strayContinuation), ([0x01, 0, 0x81, 0], .interruptedMessage),
      ([0x01, 0, 0x02, 0], .interruptedMessage), ([0x81, 126, 0x0b, 0xb9], .tooLong(limit: 3000)),
      ([0x81, 127] + [UInt8](repeating: 0xff, count: 8), .tooLong(limit: 3000)),
      (frame(0x01, [UInt8](repeating: 0, count: 2000)) + [0x80, 126, 0x03, 0xe9], .tooLong(limit: 3000)),
      ([0x81, 2, 0xc3, 0x28], .notUTF8), ([0x01, 1, 0xc3, 0x80, 1, 0x28], .notUTF8),
      ([0x81, 3, 0xed, 0xa0, 0x80], .notUTF8),
      ([0x88, 1, 3], .badClose), ([0x88, 3, 3, 232, 0xff], .badClose),
    ]
    for (bytes, expected) in cases {
      for pieces in [1, Int.max] {
        let (items, violation) = read(bytes, pieces: pieces)
        #expect(violation == expected && items == [], "\(bytes.prefix(12))")
      }
    }
    // A character in two fragments is none of these.
    #expect(read([0x01, 1, 0xc3, 0x80, 1, 0xa4]).0 == [.text(text("ä"))])
  }

  @Test func anythingAtAllEndsWithoutATrap() {
    var random = SplitMix64(state: testSeed("anythingAtAllEndsWithoutATrap"))
    for _ in 0..<20_000 {
      // Without the bits that end nearly all of them at once.
      let bytes = random.bytes(.random(in: 0..<40, using: &random)).map { $0 & 0x9f }
      let whole = read(bytes)
      let pieces = read(bytes, pieces: .random(in: 1...5, using: &random))
      #expect(whole == pieces, "\(bytes)")
    }
  }
}
