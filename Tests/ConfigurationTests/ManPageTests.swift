import Foundation
import Testing

/// docs/man/hordelink.toml.5 names each key as `.It Cm KEY`, below a heading that begins with its section.
@Suite("hordelink.toml(5)")
struct ManPageTests {
  @Test("It describes every setting of the example, and no other")
  func complete() throws {
    #expect(try described().sorted() == shown().sorted())
  }

  @Test("It gives the default of each setting that has one")
  func defaults() throws {
    let text = try manPage().replacing(#/\.[A-Z][a-z] /#, with: "").replacing("\n", with: " ")
    for line in try exampleText().split(separator: "\n") {
      // `#key = number` shows a default.
      guard let match = line.wholeMatch(of: #/\#([a-z_]+) = ([0-9_]+)/#) else { continue }
      let number = match.2.replacing("_", with: "")
      #expect(text.contains("The default is \(number)."), "\(match.1) = \(number)")
    }
  }

  private func manPage() throws -> String {
    let file = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    let page = file.appendingPathComponent("../../../docs/man/hordelink.toml.5").standardizedFileURL
    return try String(contentsOf: page, encoding: .utf8)
  }

  private func described() throws -> [String] {
    var section = ""
    var keys: [String] = []
    for line in try manPage().split(separator: "\n") {
      if line.hasPrefix(".Sh ") { section = line == ".Sh DESCRIPTION" ? "" : "-" }
      if let match = line.wholeMatch(of: /\.Ss (?:\[([a-z]+)\]: )?.*/) { section = match.1.map { "\($0)." } ?? "" }
      if section != "-", let match = line.wholeMatch(of: /\.It Cm ([a-z_]+)/) { keys.append(section + match.1) }
    }
    return keys
  }

  private func shown() throws -> [String] {
    var section = ""
    var keys: [String] = []
    for line in try exampleText().split(separator: "\n") {
      if let match = line.wholeMatch(of: /\[([a-z]+)\]/) { section = "\(match.1)." }
      if let match = line.firstMatch(of: #/^\#(?:[!?|] )?([a-z_]+) = /#) { keys.append(section + match.1) }
    }
    return keys
  }
}
