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

/// A generator of random numbers that a printed seed repeats (SplitMix64; Steele, Lea and Flood, 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// The seed of a random test, printed: $HORDELINK_TEST_SEED, else a new one.
func testSeed(_ test: String) -> UInt64 {
  let given = ProcessInfo.processInfo.environment["HORDELINK_TEST_SEED"].flatMap { UInt64($0) }
  let seed = given ?? UInt64.random(in: 0...UInt64.max)
  print("\(test): HORDELINK_TEST_SEED=\(seed)")
  return seed
}

/// The example configuration that is installed with the service.
func exampleText() throws -> String {
  let file = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
  let root = file.deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return try String(
    contentsOf: root.appendingPathComponent("units/hordelink.toml"), encoding: .utf8)
}
