import ArgumentParser
import Messages
import Platform

struct DeadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead", abstract: "Lists, retries and drops what the facilitator would not take.",
    discussion: """
      An update that the facilitator has refused four times while it took those of other jobs, or that ended one \
      connection after the other, is set aside as a dead letter, and its job goes on without it. It stays until a \
      person decides about it.

      \(ControlFailure.help)
      """,
    subcommands: [DeadListCommand.self, DeadRetryCommand.self, DeadDropCommand.self])
}

struct DeadListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the dead letters, each with what became of its attempts.",
    discussion: """
      The JSON object has `dead`, a list of {id, job, status, stored_at, dead_since, bytes, history}; history is a \
      list of {at, error}, the oldest first. Times are UTC.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption

  func run() throws {
    try reportingFailure { () throws(ControlFailure) in
      let letters = try DeadLetters.all(in: location.resolve())
      print(output.json ? ReportJSON.dead(letters) : ReportText.dead(letters))
    }
  }
}

struct DeadRetryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry", abstract: "Sends dead letters again, as if they were new.",
    discussion: """
      One whose job already has its accepted terminal status is refused: nothing may follow that. \
      \(DeadLetters.output)

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption
  @OptionGroup var selection: DeadLetters

  func run() throws {
    try selection.settle(in: location, output, verb: "sent again") { .retry($0) }
  }
}

struct DeadDropCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drop", abstract: "Forgets dead letters: the facilitator will never get them.",
    discussion: """
      \(DeadLetters.output)

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption
  @OptionGroup var selection: DeadLetters

  func run() throws {
    try selection.settle(in: location, output, verb: "dropped") { .drop($0) }
  }
}

/// Which dead letters are meant.
struct DeadLetters: ParsableArguments {
  static let output =
    "The JSON object has `done`, how many, and `refused`, a list of {id, reason}. Any refused is exit code 1."
  /// Dead letters of one request, and the bytes of them: Uplink holds them all at once.
  private static let batchBytes = 32 << 20

  @Argument(help: ArgumentHelp("Their numbers, from hordelinkctl dead list.", valueName: "id"))
  var ids: [Int] = []

  @Flag(name: .long, help: "All of them.")
  var all = false

  func validate() throws {
    guard all != !ids.isEmpty else { throw ValidationError("Name dead letters by their numbers, or give --all.") }
    guard ids.allSatisfy({ $0 > 0 }) else { throw ValidationError("A dead letter's number is above 0.") }
  }

  /// Every dead letter, page by page.
  static func all(in runtimeDirectory: String) throws(ControlFailure) -> [DeadLetter] {
    var letters: [DeadLetter] = []
    while true {
      let page = try ask(.dead(after: letters.last?.id ?? 0), runtimeDirectory).dead
      letters += page
      if page.count < DeadLetter.page { return letters }
    }
  }

  /// Asks for it, batch by batch, and says what came of it.
  func settle(
    in location: Location, _ output: JSONOption, verb: String, _ query: ([Int]) -> UplinkQuery
  ) throws {
    try reportingFailure { () throws(ControlFailure) in
      let directory = try location.resolve()
      let known = try Self.all(in: directory)
      let sizes = Dictionary(known.map { ($0.id, $0.bytes) }, uniquingKeysWith: max)
      var done = 0
      var refusals: [DeadLetterRefusal] = []
      for batch in Self.batches(all ? known.map(\.id) : ids, sizes) {
        let report = try Self.ask(query(batch), directory)
        done += report.done
        refusals += report.refusals
      }
      if output.json {
        print(ReportJSON.settled(done: done, refusals))
      } else {
        print("\(done) \(verb)")
      }
      guard refusals.isEmpty else {
        throw ControlFailure(
          .refused,
          "\(refusals.count) refused: "
            + refusals.prefix(20).map { "\($0.id): \(Terminal.printable($0.reason))" }.joined(separator: "; "))
      }
    }
  }

  private static func batches(_ ids: [Int], _ sizes: [Int: Int]) -> [[Int]] {
    var batches: [[Int]] = []
    var bytes = 0
    for id in ids {
      bytes += sizes[id] ?? 0
      if let last = batches.last, last.count < DeadLetter.page, bytes <= batchBytes {
        batches[batches.count - 1].append(id)
      } else {
        batches.append([id])
        bytes = sizes[id] ?? 0
      }
    }
    return batches
  }

  private static func ask(_ query: UplinkQuery, _ runtimeDirectory: String) throws(ControlFailure) -> UplinkReport {
    guard let report = try Question.ask(query, in: runtimeDirectory).uplink else {
      throw ControlFailure(.noAnswer, ReportText.uplinkIsSilent)
    }
    return report
  }
}
