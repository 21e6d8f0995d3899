import Configuration
import Foundation

/// The settings without which nothing loads.
let required = """
  [facilitator]
  url = "wss://facilitator.example/ws/v0/"
  [identity]
  hotkey_file = "/etc/hordelink/hotkey"
  [dispatch]
  command = ["/usr/local/bin/run-job"]

  """

func parse(
  _ text: String, _ environment: [String: String] = [:]
) throws(ConfigurationError) -> Configuration {
  try Configuration.parse(Array(text.utf8), file: "h.toml", environment: environment)
}

/// What is reported for a document; empty when it is fine.
func problems(_ text: String, _ environment: [String: String] = [:]) -> [Problem] {
  do throws(ConfigurationError) {
    _ = try parse(text, environment)
    return []
  } catch {
    return error.problems
  }
}

/// What is reported for the required settings with `line` added to `section`: the problems, and the line it
/// is on.
func problems(with line: String, in section: String) -> (problems: [Problem], line: Int) {
  var lines = required.split(separator: "\n").map(String.init)
  if section.isEmpty {
    lines.insert(line, at: 0)
    return (problems(lines.joined(separator: "\n")), 1)
  }
  if !lines.contains("[\(section)]") { lines.append("[\(section)]") }
  let header = lines.firstIndex(of: "[\(section)]")!
  lines.removeAll { $0.hasPrefix(line.prefix { $0 != "=" }) }
  lines.insert(line, at: header + 1)
  return (problems(lines.joined(separator: "\n")), header + 2)
}

/// The example configuration that is installed with the service.
func exampleText() throws -> String {
  let file = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
  let root = file.deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return try String(
    contentsOf: root.appendingPathComponent("units/hordelink.toml"), encoding: .utf8)
}
