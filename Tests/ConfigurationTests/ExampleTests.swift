import Configuration
import Testing

/// Each line of the example that shows a setting begins with one of four marks, which its head explains.
@Suite("The example configuration")
struct ExampleTests {
  /// The example with the settings behind these marks taken out of their comments.
  private func example(setting marks: Set<String>) throws -> String {
    try exampleText().split(separator: "\n", omittingEmptySubsequences: false).map { line in
      guard let (mark, setting) = Self.setting(line), marks.contains(mark) else {
        return String(line)
      }
      return setting
    }.joined(separator: "\n")
  }

  /// `#! x = 1`, `#x = 1`, `#? x = 1` and `#| x = 1` show settings; prose has a space after #.
  private static func setting(_ line: Substring) -> (mark: String, setting: String)? {
    for mark in ["#! ", "#? ", "#| ", "#"]
    where line.hasPrefix(mark) && !line.hasPrefix("# ") && line.count > 1 {
      return (mark, String(line.dropFirst(mark.count)))
    }
    return nil
  }

  private let environment = ["CREDENTIALS_DIRECTORY": "/run/credentials/hordelink.service"]

  @Test("As installed, it asks for what is required and nothing else")
  func asInstalled() throws {
    let found = problems(try exampleText(), [:])
    #expect(
      Set(found.map(\.key)) == ["facilitator.url", "identity.hotkey_file", "dispatch.command"])
    #expect(found.allSatisfy { $0.line ?? 0 > 1 })
  }

  @Test(
    "It loads once the required settings are set, and the defaults it shows are the defaults there are"
  )
  func defaults() throws {
    let plain = try parse(try example(setting: ["#! "]), environment)
    let shown = try parse(try example(setting: ["#! ", "#"]), environment)
    #expect(shown.lines.count > plain.lines.count)
    #expect(shown.stateDirectory == plain.stateDirectory)
    #expect(shown.runtimeDirectory == plain.runtimeDirectory)
    #expect(shown.facilitator == plain.facilitator)
    #expect(shown.identity == plain.identity)
    #expect(shown.jobs == plain.jobs)
    #expect(shown.channel == plain.channel)
    #expect(shown.dispatch == plain.dispatch)
    #expect(shown.stopping == plain.stopping)
    #expect(shown.outbox == plain.outbox)
    #expect(shown.metrics == plain.metrics)
  }

  @Test("It shows every setting there is")
  func everySetting() throws {
    let marks: Set = ["#! ", "#? ", "#"]
    let full = try parse(try example(setting: marks)).lines
    // What may stand instead of another, without that.
    let instead = try exampleText().split(separator: "\n").filter { $0.hasPrefix("#| ") }.map { $0.dropFirst(3) }
    for setting in instead {
      let key = try #require(setting.split(separator: " = ").first)
      #expect(full["hooks.\(key.dropLast("_task".count))"] != nil)
    }
    _ = try parse(required + "broker_url = \"redis://b\"\n[hooks]\n" + instead.joined(separator: "\n"))
    let sections = [
      "", "facilitator", "identity", "jobs", "channel", "dispatch", "stop", "outbox", "hooks", "metrics",
    ]
    for section in sections {
      let message = problems(with: "zz = 1", in: section).problems.first {
        $0.message.contains("zz")
      }?.message
      let known = message?.split(separator: " has ").last?.split(separator: ", ") ?? []
      #expect(!known.isEmpty)
      for key in known {
        let path = section.isEmpty ? String(key) : "\(section).\(key)"
        #expect(
          full[path] != nil || instead.contains { $0.hasPrefix("\(key) = ") }, "\(path) is not in units/hordelink.toml")
      }
    }
  }
}
