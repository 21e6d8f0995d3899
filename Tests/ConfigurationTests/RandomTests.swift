import TOMLKit
import TestSupport
import Testing

@testable import Configuration

@Suite("Random documents")
struct RandomTests {
  /// Pieces that change what a document means.
  private static let pieces = [
    "\"", "'", "\"\"\"", "'''", "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "#", "\n", "\r\n",
    "\\", "\\u0000",
    "\\u0041", "\\U0010ffff", "\u{0}", "\u{feff}", "\u{e9}", "-1", "9223372036854775808", "1e400",
    "nan", "true",
    "1979-05-27T07:32:00Z", " = ", "a.b", "\"\" = 1\n", "[jobs]\n", "[[jobs]]\n", "[a.b.c]\n",
    "x = {a = [1, {b = 2}]}\n",
    "jobs.x = 1\n", "kind = \"redis\"\n", "url = \"ws://h\"\n", "command = [\"x\"]\n", "[[a.b]]\n",
  ]

  private func mutated(_ document: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
    var bytes = document
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      let start = Int.random(in: 0...bytes.count, using: &generator)
      let end = min(bytes.count, start + Int.random(in: 0...12, using: &generator))
      switch Int.random(in: 0..<6, using: &generator) {
      case 0: bytes.removeSubrange(start..<end)
      case 1:
        bytes.replaceSubrange(
          start..<end, with: bytes[start..<end].map { _ in UInt8.random(in: 0...255) })
      case 2:
        // A line once more, somewhere.
        let lines = bytes.split(separator: 0x0A)
        bytes.insert(contentsOf: (lines.randomElement(using: &generator) ?? []) + [0x0A], at: start)
      case 3: bytes.removeSubrange(Int.random(in: start...bytes.count, using: &generator)...)
      default:
        bytes.insert(
          contentsOf: (Self.pieces.randomElement(using: &generator) ?? "").utf8, at: start)
      }
    }
    return bytes
  }

  @Test(
    "A mutated configuration is a configuration or has named problems, and its lines are those of its keys"
  )
  func mutations() throws {
    let seed = testSeed("mutations")
    var generator = SplitMix64(state: seed)
    let example = try exampleText().split(separator: "\n").filter { !$0.hasPrefix("# ") }.map {
      $0.drop { "#!? ".contains($0) }
    }
    let seeds = [SettingsTests.everyKey, required, example.joined(separator: "\n")].map {
      Array($0.utf8)
    }
    var counts = (loaded: 0, wrong: 0)
    for round in 0..<6000 {
      let document = mutated(seeds[round % seeds.count], &generator)
      let shown = "seed \(seed), round \(round): \(String(decoding: document, as: UTF8.self))"
      let lineCount = document.split(separator: 0x0A, omittingEmptySubsequences: false).count
      do throws(ConfigurationError) {
        _ = try Configuration.parse(document, file: "f", environment: [:])
        counts.loaded += 1
      } catch {
        counts.wrong += 1
        let isNamed = error.problems.allSatisfy {
          (1...lineCount).contains($0.line ?? 0) && !$0.message.isEmpty
            && ($0.key.map($0.message.contains) ?? true)
        }
        #expect(!error.problems.isEmpty && isNamed, "\(shown)\n\(error)")
      }
      compareWithParser(document, shown)
    }
    // Had one side never come up, the test would have shown nothing.
    #expect(counts.loaded > 0 && counts.wrong > 0)
  }

  /// The scanner must find exactly the keys that the parser finds.
  private func compareWithParser(_ document: [UInt8], _ shown: String) {
    let scan = LineScanner(document)
    guard scan.refusal == nil, !document.contains(0),
      let text = String(validating: document, as: UTF8.self),
      let table = try? TOMLTable(string: text + "\n")
    else { return }
    var paths: Set<String> = []
    collect(table, at: SettingPath(), into: &paths)
    #expect(Set(scan.lines.keys) == paths, "\(shown)")
  }

  private func collect(
    _ value: any TOMLValueConvertible, at path: SettingPath, into paths: inout Set<String>
  ) {
    if path.depth > 0 { paths.insert(path.text) }
    if let table = value.table {
      for key in table.keys {
        if let inner = table[key] { collect(inner, at: path.appending(key), into: &paths) }
      }
    } else if let array = value.array {
      for (index, element) in array.enumerated() {
        collect(element, at: path.element(index), into: &paths)
      }
    }
  }

  @Test("Lines of documents written at random are the lines they were written on")
  func writtenDocuments() {
    let seed = testSeed("writtenDocuments")
    var generator = SplitMix64(state: seed)
    for round in 0..<1000 {
      var writer = DocumentWriter(generator: generator)
      writer.writeDocument()
      generator = writer.generator
      let shown = "seed \(seed), round \(round):\n\(writer.text)"
      #expect(throws: Never.self, "\(shown)") { try TOMLTable(string: writer.text) }
      #expect(LineScanner(Array(writer.text.utf8)).lines == writer.lines, "\(shown)")
    }
  }

  @Test("Bytes that are no document at all do no harm")
  func noise() {
    let seed = testSeed("noise")
    var generator = SplitMix64(state: seed)
    for _ in 0..<3000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 0...30, using: &generator) {
        bytes += Array((Self.pieces.randomElement(using: &generator) ?? "").utf8)
      }
      let lineCount = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).count
      let scan = LineScanner(bytes)
      #expect(
        scan.lines.values.allSatisfy((1...lineCount).contains),
        "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
      #expect(throws: ConfigurationError.self) {
        try Configuration.parse(bytes, file: "f", environment: [:])
      }
    }
  }
}

/// Writes TOML at random and notes the line of each key as it goes.
private struct DocumentWriter {
  var generator: SplitMix64
  private(set) var text = ""
  private(set) var lines: [String: Int] = [:]
  private var line = 1
  private var nextName = 0

  init(generator: SplitMix64) {
    self.generator = generator
  }

  mutating func writeDocument() {
    for _ in 0..<pick(4) { writeKeyValue(in: "") }
    for _ in 0..<pick(5) {
      writeTrivia()
      let (written, path) = name(in: "")
      if pick(2) == 0 {
        note(path)
        put("[\(written)]\(pick(2) == 0 ? " # [x]" : "")\n")
        for _ in 0..<pick(4) { writeKeyValue(in: path) }
      } else {
        note(path)
        for index in 0..<1 + pick(3) {
          note("\(path)[\(index)]")
          put("[[ \(written) ]]\n")
          for _ in 0..<pick(3) { writeKeyValue(in: "\(path)[\(index)]") }
        }
      }
    }
  }

  private mutating func writeKeyValue(in table: String) {
    writeTrivia()
    writeKey(in: table, depth: 2)
    put(pick(2) == 0 ? " # z = 1\n" : "\n")
  }

  private mutating func writeKey(in table: String, depth: Int, isInline: Bool = false) {
    var (written, path) = name(in: table)
    note(path)
    if pick(4) == 0 {
      let inner = name(in: path)
      written += " . " + inner.written
      path = inner.path
      note(path)
    }
    put("\(written) = ")
    writeValue(at: path, depth: depth)
  }

  private mutating func writeValue(at path: String, depth: Int) {
    switch pick(depth > 0 ? 9 : 7) {
    case 0: put("-1_0")
    case 1: put("\"a = [1] # \\\" \\u00e9\"")
    case 2: put("'\\'")
    case 3: put("\"\"\"\nb = 1\n[c]\\\"\"\"\"\"\"")
    case 4: put("'''x'\n''\n'''''")
    case 5: put("+1.5e-3")
    case 6: put("true")
    case 7:
      put("[")
      for index in 0..<pick(4) {
        writeTrivia()
        note("\(path)[\(index)]")
        writeValue(at: "\(path)[\(index)]", depth: depth - 1)
        writeTrivia()
        put(",")
      }
      writeTrivia()
      put("]")
    default:
      put("{ ")
      for index in 0..<pick(3) {
        put(index > 0 ? ", " : "")
        writeKey(in: path, depth: depth - 1)
      }
      put(" }")
    }
  }

  /// A name used nowhere else, as it is written and as a path inside `table`.
  private mutating func name(in table: String) -> (written: String, path: String) {
    nextName += 1
    let prefix = table.isEmpty ? "" : table + "."
    switch pick(4) {
    case 0: return ("\"n\(nextName)\"", "\(prefix)n\(nextName)")
    case 1: return ("'n.\(nextName)'", "\(prefix)\"n.\(nextName)\"")
    case 2: return ("\"\\u006e=#\\\"\(nextName)\"", "\(prefix)\"n=#\\\"\(nextName)\"")
    default: return ("n\(nextName)", "\(prefix)n\(nextName)")
    }
  }

  private mutating func writeTrivia() {
    if pick(3) == 0 { put(["\n", "# 'x\n", "\r\n", "\t\n # [[\n"][pick(4)]) }
  }

  private mutating func note(_ path: String) {
    lines[path] = line
  }

  private mutating func put(_ piece: String) {
    text += piece
    line += piece.utf8.count { $0 == 0x0A }
  }

  private mutating func pick(_ count: Int) -> Int {
    Int.random(in: 0..<count, using: &generator)
  }
}
