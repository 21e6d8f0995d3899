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
    var text = text
    guard let job = text.withUTF8({ JobID(utf8: $0) }) else { return nil }
    self = job
  }

  /// The same for the text's bytes.
  public init?(utf8 text: UnsafeBufferPointer<UInt8>) {
    guard text.count == 36 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for (index, byte) in text.enumerated() {
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
    String(unsafeUninitializedCapacity: 36) { write(to: $0) }
  }

  /// Appends the canonical form to `bytes`.
  public func append(to bytes: inout [UInt8]) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 36) { text in
      bytes.append(contentsOf: text.prefix(write(to: text)))
    }
  }

  /// Writes the canonical form, 36 bytes, and returns how many that are.
  private func write(to text: UnsafeMutableBufferPointer<UInt8>) -> Int {
    var position = 0
    for index in 0..<32 {
      if index == 8 || index == 12 || index == 16 || index == 20 {
        text[position] = UInt8(ascii: "-")
        position += 1
      }
      let number = index < 16 ? high : low
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * (index & 15)) & 0xf)
      text[position] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit
      position += 1
    }
    return position
  }

  public static func < (left: JobID, right: JobID) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}
