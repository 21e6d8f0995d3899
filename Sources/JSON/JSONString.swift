/// Text as a JSON string.
public enum JSONString {
  /// Appends `text`, which must be UTF-8, with its quotes; what is not ASCII stays as it is.
  public static func write(_ text: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    // Whole runs: most strings hold nothing to escape.
    var runStart = 0
    var place = firstEscaped(text, from: 0)
    while place < text.count {
      bytes += UnsafeBufferPointer(rebasing: text[runStart..<place])
      writeEscape(UInt16(text[place]), to: &bytes)
      runStart = place + 1
      place = firstEscaped(text, from: runStart)
    }
    bytes += UnsafeBufferPointer(rebasing: text[runStart...])
    bytes.append(UInt8(ascii: "\""))
  }

  /// Where the first byte is that has to be escaped; the end if none has.
  static func firstEscaped(_ text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    let raw = UnsafeRawBufferPointer(text)
    var place = start
    while text.count - place >= 8, !hasEscaped(raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)) { place += 8 }
    while place < text.count, !isEscaped(text[place]) { place += 1 }
    return place
  }

  /// Whether everything from `start` to before `end` is ASCII.
  static func isASCII(_ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int) -> Bool {
    let raw = UnsafeRawBufferPointer(text)
    var all: UInt64 = 0
    var place = start
    while end - place >= 8 {
      all |= raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      place += 8
    }
    while place < end {
      all |= UInt64(raw[place])
      place += 1
    }
    return all & 0x8080_8080_8080_8080 == 0
  }

  private static func isEscaped(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  /// Whether one of eight bytes has to be escaped. Where a byte is below another, their difference borrows, which
  /// shows in its highest bit; a byte equals another where the two's exclusive or is below 1.
  private static func hasEscaped(_ eight: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quotes = eight ^ (ones &* UInt64(UInt8(ascii: "\"")))
    let backslashes = eight ^ (ones &* UInt64(UInt8(ascii: "\\")))
    let below = (eight &- (ones &* 0x20)) & ~eight
    let equal = ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
    return (below | equal) & (ones &* 0x80) != 0
  }

  /// Appends the escape of a code unit of UTF-16.
  static func writeEscape(_ unit: UInt16, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\\"))
    switch unit {
    case 0x22: bytes.append(UInt8(ascii: "\""))
    case 0x5c: bytes.append(UInt8(ascii: "\\"))
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0a: bytes.append(UInt8(ascii: "n"))
    case 0x0c: bytes.append(UInt8(ascii: "f"))
    case 0x0d: bytes.append(UInt8(ascii: "r"))
    default:
      bytes.append(UInt8(ascii: "u"))
      for shift in [12, 8, 4, 0] as [UInt16] {
        let digit = UInt8(unit >> shift & 0xf)
        bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      }
    }
  }
}
