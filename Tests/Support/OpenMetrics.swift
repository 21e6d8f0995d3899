/// An OpenMetrics 1.0 text, read as strictly as its grammar is: what a scraper would refuse is refused here.
/// Source: https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md
public struct OpenMetrics {
  public struct Family {
    public var type: String
    public var unit: String?
    public var help: String?
    public var samples: [Sample] = []
  }

  public struct Sample {
    public var name: String
    /// In their order.
    public var labels: [(name: String, value: String)]
    public var value: Double
  }

  /// What is wrong with a text, and where.
  public struct Wrong: Error, CustomStringConvertible {
    public var description: String
  }

  public private(set) var families: [String: Family] = [:]

  public init(_ text: String) throws {
    guard text.hasSuffix("# EOF\n") else { throw Wrong(description: "it does not end in # EOF") }
    let lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
    var current: String?
    var seen: Set<String> = []
    for line in lines.dropLast() {
      if line.hasPrefix("# ") {
        let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        guard words.count == 4, Self.isName(words[2]) else { throw Wrong(description: "\(line)") }
        try describe(words, isNew: words[2] != current)
        current = words[2]
      } else {
        let sample = try Self.sample(line)
        guard let current, try Self.belongs(sample, to: current, families[current]?.type ?? "") else {
          throw Wrong(description: "\(line) stands outside its family")
        }
        let key = sample.name + sample.labels.sorted { $0.name < $1.name }.map { ",\($0.name)=\($0.value)" }.joined()
        guard seen.insert(key).inserted else { throw Wrong(description: "\(line) is there twice") }
        families[current]?.samples.append(sample)
      }
    }
    for (name, family) in families { try Self.check(name, family) }
  }

  /// The value of the one sample of that name with these labels.
  public func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    let found = families.values.flatMap(\.samples).filter { sample in
      sample.name == name && Dictionary(sample.labels.map { ($0.name, $0.value) }) { $1 } == labels
    }
    return found.count == 1 ? found[0].value : nil
  }

  private mutating func describe(_ words: [String], isNew: Bool) throws {
    let name = words[2]
    if isNew {
      guard families[name] == nil else { throw Wrong(description: "\(name) is interleaved with another") }
      families[name] = Family(type: "unknown")
    }
    switch words[1] {
    case "TYPE":
      guard ["counter", "gauge", "histogram", "info", "stateset"].contains(words[3]) else {
        throw Wrong(description: "\(name) has no type that is known")
      }
      families[name]?.type = words[3]
    case "UNIT":
      guard name.hasSuffix("_" + words[3]) else { throw Wrong(description: "\(name) does not end in its unit") }
      families[name]?.unit = words[3]
    case "HELP": families[name]?.help = words[3]
    default: throw Wrong(description: "# \(words[1])")
    }
  }

  private static func isName(_ text: some StringProtocol) -> Bool {
    text.utf8.first.map { !(48...57).contains($0) } ?? false
      && text.utf8.allSatisfy {
        (48...57).contains($0) || (97...122).contains($0) || (65...90).contains($0) || $0 == 95
      }
  }

  private static func sample(_ line: Substring) throws -> Sample {
    let name = line.prefix { $0 != "{" && $0 != " " }
    guard isName(name) else { throw Wrong(description: "\(line) has no name") }
    var rest = line[name.endIndex...]
    var labels: [(String, String)] = []
    if rest.first == "{" {
      repeat {
        rest = rest.dropFirst()
        let label = rest.prefix { $0 != "=" }
        rest = rest[label.endIndex...]
        guard isName(label), rest.hasPrefix("=\"") else { throw Wrong(description: "\(line) has no label") }
        rest = rest.dropFirst(2)
        labels.append((String(label), try quoted(&rest)))
      } while rest.first == ","
      guard rest.first == "}" else { throw Wrong(description: "\(line) has no end of labels") }
      rest = rest.dropFirst()
    }
    guard rest.first == " ", let value = Double(rest.dropFirst()) else {
      throw Wrong(description: "\(line) has no value")
    }
    guard Set(labels.map(\.0)).count == labels.count else { throw Wrong(description: "\(line) has a label twice") }
    return Sample(name: String(name), labels: labels, value: value)
  }

  private static func quoted(_ rest: inout Substring) throws -> String {
    var text = ""
    while let character = rest.popFirst() {
      switch character {
      case "\"": return text
      case "\\":
        guard let escaped = rest.popFirst(), let meant = ["\\": "\\", "\"": "\"", "n": "\n"][escaped] else {
          throw Wrong(description: "an escape that is none")
        }
        text += meant
      default: text.append(character)
      }
    }
    throw Wrong(description: "a label's value has no end")
  }

  private static func belongs(_ sample: Sample, to family: String, _ type: String) throws -> Bool {
    let suffixes =
      ["counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]][type] ?? [""]
    return suffixes.contains { family + $0 == sample.name }
  }

  private static func check(_ name: String, _ family: Family) throws {
    guard let help = family.help, !help.isEmpty else { throw Wrong(description: "\(name) has no help") }
    guard !family.samples.isEmpty else { throw Wrong(description: "\(name) has no samples") }
    let values = family.samples.map(\.value)
    switch family.type {
    case "counter":
      guard values.allSatisfy({ $0 >= 0 && $0.isFinite }) else { throw Wrong(description: "\(name) counts \(values)") }
    case "stateset":
      guard family.samples.allSatisfy({ $0.labels.last?.name == name }), values.allSatisfy({ $0 == 0 || $0 == 1 })
      else { throw Wrong(description: "\(name) is no set of states") }
    case "info":
      guard values.allSatisfy({ $0 == 1 }) else { throw Wrong(description: "\(name) is not 1") }
    case "histogram": try checkHistogram(name, family)
    default: break
    }
  }

  private static func checkHistogram(_ name: String, _ family: Family) throws {
    let buckets = family.samples.filter { $0.name == name + "_bucket" }
    let bounds = buckets.map { $0.labels.first.flatMap { $0.name == "le" ? $0.value : nil } ?? "" }
    let numbers = bounds.map { $0 == "+Inf" ? Double.infinity : Double($0) ?? .nan }
    let counts = buckets.map(\.value)
    guard zip(numbers, numbers.dropFirst()).allSatisfy(<), numbers.last == .infinity,
      // As every writer has them, so that they join: 1.0, not 1.
      zip(bounds, numbers).dropLast().allSatisfy({ $0 == "\($1)" }), zip(counts, counts.dropFirst()).allSatisfy(<=)
    else { throw Wrong(description: "\(name) has buckets \(bounds) with \(counts)") }
    guard family.samples.first(where: { $0.name == name + "_count" })?.value == counts.last,
      family.samples.contains(where: { $0.name == name + "_sum" && $0.value >= 0 })
    else { throw Wrong(description: "\(name) has no count or no sum") }
  }
}
