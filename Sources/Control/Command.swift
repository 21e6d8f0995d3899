import ArgumentParser
import Glibc
import Messages
import Platform

/// Runs hordelinkctl with this process's arguments, and ends the process.
public func runControl() { ControlCommand.main() }

struct ControlCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hordelinkctl",
    abstract: "Asks a running hordelink how it is, and tells it what only a person can decide.",
    discussion: ControlFailure.help,
    version: hordelinkVersion,
    subcommands: [
      StatusCommand.self, JobsCommand.self, QueueCommand.self, DeadCommand.self, SendCommand.self, DrainCommand.self,
      BackupCommand.self, TopCommand.self,
    ])

  @OptionGroup var location: Location
}

struct JSONOption: ParsableArguments {
  @Flag(name: .long, help: "One JSON object instead of a table.")
  var json = false
}

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Shows the facilitator connection, the queue, and every process.",
    discussion: """
      The JSON object has `uplink`, null while Uplink does not answer, which is exit code 75, else {session, last_loss, open_jobs, queued, \
      queue_age_seconds, in_flight, stored, delivered, dead, record_bytes, full, draining}, and `children`, a list of {name, job, pid, \
      generation, state, seconds_in_state, restarts_last_hour, last_death}. full is "record" or "disk" while updates \
      wait for room. last_loss, full, job, pid and last_death are null when there is none.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption

  func run() throws {
    var isAnswered = false
    try reportingFailure { () throws(ControlFailure) in
      let report = try Question.ask(.status, in: location.resolve())
      print(output.json ? ReportJSON.status(report) : ReportText.status(report))
      isAnswered = report.uplink != nil
    }
    // It is said above; a script must not take it for a service that works.
    if !isAnswered { throw ArgumentParser.ExitCode(ControlFailure.Kind.noAnswer.rawValue) }
  }
}

struct JobsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "jobs", abstract: "Lists the open jobs.",
    discussion: """
      The JSON object has `uplink` as in `status`, and `jobs`, a list of {job, phase, seconds, queued, statuses}, \
      the statuses in the order in which they were stored. Both are \
      null while Uplink does not answer, which is exit code 75.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption

  func run() throws { try show(.jobs, location, output, json: ReportJSON.jobs, text: ReportText.jobs) }
}

struct QueueCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "queue", abstract: "Lists the updates that wait for the facilitator, the first thousand of them.",
    discussion: """
      The JSON object has `uplink` as in `status`, and `queue`, a list of {id, job, status, attempts, in_flight}. \
      Both are null while Uplink does not answer, which is exit code 75.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location
  @OptionGroup var output: JSONOption

  func run() throws { try show(.queue, location, output, json: ReportJSON.queue, text: ReportText.queue) }
}

/// Shows what only Uplink knows.
private func show(
  _ query: UplinkQuery, _ location: Location, _ output: JSONOption, json: (UplinkReport?) -> String,
  text: (UplinkReport) -> String
) throws {
  try reportingFailure { () throws(ControlFailure) in
    let uplink = try Question.ask(query, in: location.resolve()).uplink
    if output.json { print(json(uplink)) }
    guard let uplink else { throw ControlFailure(.noAnswer, ReportText.uplinkIsSilent) }
    if !output.json { print(text(uplink)) }
  }
}

/// Says on standard error what went wrong, and ends with its exit code.
func reportingFailure(_ body: () throws(ControlFailure) -> Void) throws {
  do throws(ControlFailure) {
    try body()
  } catch {
    Terminal.complain("hordelinkctl: \(error.message)")
    throw ArgumentParser.ExitCode(error.kind.rawValue)
  }
}
