import MessagePack
import TestSupport

func encoded(_ value: MessagePackValue) -> [UInt8] {
  var encoder = MessagePackEncoder()
  encoder.value(value)
  return encoder.bytes
}

/// The error that decoding `bytes` ends in, or nil when it succeeds.
func refusal(_ bytes: [UInt8], limits: MessagePackLimits = MessagePackLimits()) -> MessagePackError? {
  do throws(MessagePackError) {
    _ = try MessagePackValue.decode(bytes, limits: limits)
    return nil
  } catch { return error }
}

/// Arrays within arrays; the innermost is empty.
func nestedArrays(_ levels: Int) -> [UInt8] { [UInt8](repeating: 0x91, count: levels - 1) + [0x90] }

extension MessagePackValue {
  /// Any value but a NaN, which is not equal to itself.
  static func random(depth: Int, using random: inout SplitMix64) -> MessagePackValue {
    func bytes(_ random: inout SplitMix64) -> [UInt8] {
      let lengths = [0, 1, 2, 4, 8, 16, 17, 31, 32, 255, 256, Int.random(in: 0...300, using: &random)]
      let count = lengths.randomElement(using: &random) ?? 0
      return (0..<count).map { _ in .random(in: 0...255, using: &random) }
    }
    func text(_ random: inout SplitMix64) -> String {
      let alphabet: [Character] = ["a", "\u{0}", "é", "好", "🧲", "\"", "\n"]
      let count = Int.random(in: 0...40, using: &random)
      return String((0..<count).map { _ in alphabet.randomElement(using: &random) ?? "x" })
    }
    func number(_ random: inout SplitMix64) -> UInt64 {
      random.next() >> UInt64.random(in: 0...63, using: &random)
    }
    switch Int.random(in: 0...(depth > 0 ? 9 : 7), using: &random) {
    case 0: return .null
    case 1: return .bool(.random(using: &random))
    case 2: return .int(Int64(bitPattern: number(&random)))
    case 3: return .int(Int64(bitPattern: ~number(&random)))
    case 4:
      let wide = number(&random) | 1 << 63
      return .uint(wide)
    case 5: return .float(Double(Int64(bitPattern: random.next())) / Double(number(&random) | 1))
    case 6: return .string(text(&random))
    case 7:
      let content = bytes(&random)
      return .random(using: &random)
        ? .binary(content) : .ext(.random(in: -128...127, using: &random), content)
    case 8:
      let count = Int.random(in: 0...20, using: &random)
      return .array((0..<count).map { _ in .random(depth: depth - 1, using: &random) })
    default:
      let count = Int.random(in: 0...17, using: &random)
      return .map(
        (0..<count).map { _ in
          MessagePackPair(
            .random(depth: depth - 1, using: &random), .random(depth: depth - 1, using: &random))
        })
    }
  }
}
