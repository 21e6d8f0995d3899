import Platform
import Rehearsal

/// The command line.
struct Options {
  var command: String
  var numbers: [Int] = []
  /// How long each subject is measured at least.
  var seconds = 5.0
  var subjects: Set<String> = ["hordelink", "peer", "sink"]
  /// Over what the peer's workers report.
  var layers = PeerSubject.Layer.allCases
  /// The folder of hordelink's programs.
  var programs: String

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    guard let command = rest.popFirst() else { throw RehearsalError("say which benchmark to run; see main.swift") }
    self.command = command
    programs = try ProcessTable.ownFolder()
    while let word = rest.popFirst() {
      if let number = Int(word), number >= 0 {
        numbers.append(number)
        continue
      }
      guard let value = rest.popFirst() else { throw RehearsalError("\(word): a number, or an option and its value") }
      switch word {
      case "--seconds": seconds = Double(value) ?? seconds
      case "--subjects": subjects = Set(value.split(separator: ",").map(String.init))
      case "--programs": programs = value
      case "--layer":
        guard let layer = PeerSubject.Layer(rawValue: value) else { throw RehearsalError("--layer: pubsub or core") }
        layers = [layer]
      default: throw RehearsalError("\(word) is no option; see main.swift")
      }
    }
  }
}
