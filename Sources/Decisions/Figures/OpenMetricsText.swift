/// Writes figures as OpenMetrics 1.0 has them, a family after the other.
/// Source: https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md
struct OpenMetricsText {
  /// What is written so far, with its end.
  var text: String { body + "# EOF\n" }
  private var body = ""

  /// What only grows. The samples' name is the family's with `_total` behind it.
  mutating func counter(_ name: String, _ help: String, _ value: Int) {
    family(name, "counter", help)
    sample(name + "_total", "\(value)")
  }

  /// The same, one sample for each value of a label.
  mutating func counter(_ name: String, _ help: String, by label: String, _ values: [(String, Int)]) {
    family(name, "counter", help)
    for (value, count) in values { sample(name + "_total", "\(count)", [(label, value)]) }
  }

  /// - Parameter unit: what `name` ends in, if it is in a unit.
  mutating func gauge(_ name: String, unit: String? = nil, _ help: String, _ value: String) {
    family(name, "gauge", unit: unit, help)
    sample(name, value)
  }

  mutating func gauge(_ name: String, _ help: String, by label: String, _ values: [(String, Bool)]) {
    family(name, "gauge", help)
    for (value, isSo) in values { sample(name, isSo ? "1" : "0", [(label, value)]) }
  }

  /// One of several states: its sample is 1, the others' 0.
  mutating func state(_ name: String, _ help: String, _ current: String, of all: [String]) {
    family(name, "stateset", help)
    for state in all { sample(name, state == current ? "1" : "0", [(name, state)]) }
  }

  /// Facts that do not change.
  mutating func info(_ name: String, _ help: String, _ facts: [(String, String)]) {
    family(name, "info", help)
    sample(name + "_info", "1", facts)
  }

  /// Durations, in seconds; each bucket holds those below it too.
  mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
    family(name, "histogram", unit: "seconds", help)
    var count = 0
    for (bound, more) in zip(histogram.bounds, histogram.counts) {
      count += more
      sample(name + "_bucket", "\(count)", [("le", Self.seconds(bound))])
    }
    count += histogram.counts.last ?? 0
    sample(name + "_bucket", "\(count)", [("le", "+Inf")])
    sample(name + "_sum", Self.seconds(histogram.sum))
    sample(name + "_count", "\(count)")
  }

  /// Any duration: a sum over many can be longer than 64 bits of nanoseconds hold.
  static func seconds(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    return "\(Double(seconds) + Double(attoseconds) / 1e18)"
  }

  private mutating func family(_ name: String, _ type: String, unit: String? = nil, _ help: String) {
    body += "# TYPE \(name) \(type)\n"
    if let unit { body += "# UNIT \(name) \(unit)\n" }
    body += "# HELP \(name) \(Self.escaped(help))\n"
  }

  private mutating func sample(_ name: String, _ value: String, _ labels: [(String, String)] = []) {
    body += name
    if !labels.isEmpty {
      body += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
    }
    body += " \(value)\n"
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
