/// A job's canonical UUID: 36 characters, lower-case hexadecimal, hyphens at 8, 13, 18 and 23.
///
/// It becomes the name of a directory and of a channel, so no other form is accepted.
public struct JobID: Sendable, Hashable, Comparable, CustomStringConvertible {
  private let high: UInt64
  private let low: UInt64

  /// The job of the UUID whose 32 digits are those of the two numbers, one after the other.
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The job of that UUID, or nil when `text` is not in the canonical form.
  public init?(_ text: String) {
    guard text.utf8.count == 36 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for (index, byte) in text.utf8.enumerated() {
      switch index {
      case 8, 13, 18, 23:
        guard byte == UInt8(ascii: "-") else { return nil }
      default:
        let digit: UInt8
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
        default: return nil
        }
        if index < 18 { high = high << 4 | UInt64(digit) } else { low = low << 4 | UInt64(digit) }
      }
    }
    self.high = high
    self.low = low
  }

  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(36)
    for (half, number) in [high, low].enumerated() {
      for index in 0..<16 {
        // Hyphens stand before the digits 8, 12, 16 of the first half's 16 and before 0 and 4 of the second's.
        if half == 0 ? (index == 8 || index == 12) : (index == 0 || index == 4) {
          text.append(UInt8(ascii: "-"))
        }
        text.append(digits[Int(number >> UInt64(60 - 4 * index) & 0xf)])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  public static func < (left: JobID, right: JobID) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}
