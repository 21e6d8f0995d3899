/// The two ways in which the originals write a float. Both use the fewest digits that read back as the same
/// value, and differ in when an exponent is written and how.
public enum FloatText {
  /// As pydantic (through serde_json and ryu) writes it: `1.0`, `0.00001`, `1e16`, `1.5e-7`; `NaN`,
  /// `Infinity`, `-Infinity` for what JSON has no number for.
  public static func compact(_ value: Double) -> String {
    guard let parts = Parts(value) else { return nonFinite(value) }
    guard parts.point > -5, parts.point <= 16 else { return parts.scientific { "e\($0)" } }
    return parts.positional
  }

  /// As Python's `repr` writes it: `1.0`, `1e-05`, `1e+16`, `1.5e-07`; `NaN`, `Infinity`, `-Infinity` as
  /// Python's json module does.
  public static func python(_ value: Double) -> String {
    guard let parts = Parts(value) else { return nonFinite(value) }
    guard parts.point > -4, parts.point <= 16 else {
      return parts.scientific { exponent in
        let digits = String(exponent.magnitude)
        return (exponent < 0 ? "e-" : "e+") + (digits.utf8.count < 2 ? "0" : "") + digits
      }
    }
    return parts.positional
  }

  private static func nonFinite(_ value: Double) -> String {
    value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
  }

  /// A finite value as 0.DIGITS × 10^point.
  private struct Parts {
    var sign: String
    /// In ASCII, without leading or trailing zeros; `0` for zero.
    var digits: ArraySlice<UInt8>
    var point: Int

    /// Takes apart Swift's own description, which has the fewest digits that read back the same.
    init?(_ value: Double) {
      guard value.isFinite else { return nil }
      sign = value.sign == .minus ? "-" : ""
      let pieces = value.magnitude.description.utf8.split(separator: UInt8(ascii: "e"))
      let mantissa = pieces.first ?? "0".utf8[...]
      digits = mantissa.filter { $0 != UInt8(ascii: ".") }[...]
      point = mantissa.prefix { $0 != UInt8(ascii: ".") }.count
      if pieces.count > 1 { point += Int(Substring(pieces[1])) ?? 0 }
      let zero = UInt8(ascii: "0")
      while digits.count > 1, digits.first == zero {
        digits.removeFirst()
        point -= 1
      }
      while digits.count > 1, digits.last == zero { digits.removeLast() }
      if digits.count == 1, digits.first == zero { point = 1 }
    }

    private func text(_ digits: ArraySlice<UInt8>) -> String { String(decoding: digits, as: UTF8.self) }

    var positional: String {
      if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + text(digits) }
      if point >= digits.count {
        return sign + text(digits) + String(repeating: "0", count: point - digits.count) + ".0"
      }
      return sign + text(digits.prefix(point)) + "." + text(digits.dropFirst(point))
    }

    func scientific(_ exponent: (Int) -> String) -> String {
      let fraction = digits.count > 1 ? "." + text(digits.dropFirst()) : ""
      return sign + text(digits.prefix(1)) + fraction + exponent(point - 1)
    }
  }
}
