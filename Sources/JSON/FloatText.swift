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
    var negative: Bool
    /// Without leading or trailing zeros; `0` for zero.
    var digits: [Character]
    var point: Int

    /// Takes apart Swift's own description, which has the fewest digits that read back the same.
    init?(_ value: Double) {
      guard value.isFinite else { return nil }
      negative = value.sign == .minus
      let pieces = value.magnitude.description.split(separator: "e")
      let mantissa = pieces.first ?? "0"
      var digits = mantissa.filter { $0 != "." }[...]
      point = mantissa.prefix { $0 != "." }.count + (pieces.count > 1 ? Int(pieces[1]) ?? 0 : 0)
      while digits.count > 1, digits.first == "0" {
        digits.removeFirst()
        point -= 1
      }
      while digits.count > 1, digits.last == "0" { digits.removeLast() }
      if digits == "0" { point = 1 }
      self.digits = Array(digits)
    }

    private var sign: String { negative ? "-" : "" }

    var positional: String {
      if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + String(digits) }
      if point >= digits.count {
        return sign + String(digits) + String(repeating: "0", count: point - digits.count) + ".0"
      }
      return sign + String(digits[..<point]) + "." + String(digits[point...])
    }

    func scientific(_ exponent: (Int) -> String) -> String {
      let fraction = digits.count > 1 ? "." + String(digits[1...]) : ""
      return sign + String(digits[..<1]) + fraction + exponent(point - 1)
    }
  }
}
