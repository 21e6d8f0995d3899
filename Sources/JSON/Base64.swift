/// Base64 as Python's `base64` module reads and writes it. Source: RFC 4648, section 4; Python's `binascii`.
public enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  private static let values: [UInt8?] = {
    var values = [UInt8?](repeating: nil, count: 256)
    for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }()

  /// The text for `bytes`, padded, without line breaks.
  public static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      var bits: UInt32 = 0
      for byte in group { bits = bits << 8 | UInt32(byte) }
      bits <<= UInt32(8 * (3 - group.count))
      for place in 0..<4 {
        let value = Int(bits >> UInt32(18 - 6 * place) & 0x3f)
        text.append(place <= group.count ? alphabet[value] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of `text`, read as laxly as Python's `b64decode`: bytes outside the alphabet are skipped, and
  /// reading ends at complete padding. Nil when the padding is missing.
  public static func decodeLaxly(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var place = 0
    var pads = 0
    var left: UInt8 = 0
    for letter in text {
      if letter == UInt8(ascii: "=") {
        guard place >= 2 else { continue }
        pads += 1
        if place + pads >= 4 { return bytes }
        continue
      }
      guard let value = values[Int(letter)] else { continue }
      pads = 0
      switch place {
      case 0: left = value
      case 1: bytes.append(left << 2 | value >> 4)
      case 2: bytes.append(left << 4 | value >> 2)
      default: bytes.append(left << 6 | value)
      }
      left = value
      place = (place + 1) % 4
    }
    return place == 0 ? bytes : nil
  }
}
