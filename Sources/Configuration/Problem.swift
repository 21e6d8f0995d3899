/// One thing that is wrong with a configuration, and where it stands.
public struct Problem: Sendable, Equatable, CustomStringConvertible {
  /// The configuration file, as it was named to `Configuration.load`.
  public var file: String
  /// The line, counted from 1; nil when the file could not be read at all.
  public var line: Int?
  /// The dotted path of the key, as `Configuration.lines` writes it; nil when no one key is at fault.
  public var key: String?
  /// What is wrong and what to do about it. Names the key; never holds a secret.
  public var message: String

  /// A problem in `file`, at `line` where there is one, about `key` where there is one.
  public init(file: String, line: Int?, key: String?, message: String) {
    self.file = file
    self.line = line
    self.key = key
    self.message = message
  }

  /// `FILE:LINE: message`, or `FILE: message` when there is no line.
  public var description: String {
    line.map { "\(file):\($0): \(message)" } ?? "\(file): \(message)"
  }
}

/// A configuration that cannot be used: every problem found in it, in the order of the file.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What is wrong; never empty when thrown by `Configuration.load` or `Configuration.parse`.
  public var problems: [Problem]

  /// An error of these problems.
  public init(problems: [Problem]) {
    self.problems = problems
  }

  /// One problem a line.
  public var description: String {
    problems.map(\.description).joined(separator: "\n")
  }
}

/// Why a text is not a value of the type asked for: the second half of a sentence that begins with the key.
///
/// Never repeats the text, which may hold a password.
public struct InvalidText: Error, Sendable, Equatable, CustomStringConvertible {
  /// What the value must be or must not have.
  public var description: String

  init(_ description: String) {
    self.description = description
  }
}

/// Gathers problems, each with the line of its key.
final class ProblemLog {
  let file: String
  let lines: [String: Int]
  private(set) var problems: [Problem] = []

  init(file: String, lines: [String: Int]) {
    self.file = file
    self.lines = lines
  }

  func report(_ key: String, _ message: String) {
    problems.append(.locating(key, in: lines, file: file, message))
  }

  /// The problems in the order of the file.
  var sorted: [Problem] {
    problems.sorted { ($0.line ?? 0, $0.key ?? "") < ($1.line ?? 0, $1.key ?? "") }
  }
}

extension Problem {
  /// A problem at the line of `key`, or of the nearest thing around it that the file does hold; a key that
  /// is missing altogether is wanted at line 1.
  static func locating(_ key: String, in lines: [String: Int], file: String, _ message: String)
    -> Problem
  {
    var place = key
    while lines[place] == nil, let end = place.lastIndex(where: { $0 == "." || $0 == "[" }) {
      place = String(place[..<end])
    }
    return Problem(file: file, line: lines[place] ?? 1, key: key, message: message)
  }
}
