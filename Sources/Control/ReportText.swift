import Messages
import Platform

/// What a person reads of a report.
enum ReportText {
  static let uplinkIsSilent =
    "Uplink does not answer: it is being started again, or it is stuck; see hordelinkctl status, and ask again"

  /// The connection, the queue and the jobs, and below them every process.
  static func status(_ report: ServiceReport) -> String {
    var table = TextTable([
      ("NAME", .left), ("JOB", .left), ("PID", .right), ("GENERATION", .right), ("STATE", .left), ("SINCE", .right),
      ("RESTARTS/H", .right), ("LAST DEATH", .left),
    ])
    for child in report.children {
      table.add([
        child.name, child.job?.description ?? "", child.pid > 0 ? "\(child.pid)" : "",
        child.generation > 0 ? "\(child.generation)" : "", child.state,
        TextTable.duration(seconds: child.seconds), "\(child.restartsLastHour)", child.lastDeath,
      ])
    }
    return (report.uplink.map { state($0.state) } ?? uplinkIsSilent) + "\n\n" + table.text
  }

  /// The connection, the queue, the jobs and what is full.
  static func state(_ state: UplinkState) -> String {
    let oldest = state.queued > 0 ? " (oldest \(TextTable.duration(seconds: state.queueAgeSeconds)))" : ""
    let loss = state.session == "ready" || state.lastLoss.isEmpty ? "" : "; last lost: \(state.lastLoss)"
    return """
      facilitator  \(Terminal.printable(state.session + loss))
      queue        \(state.queued) queued\(oldest), \(state.inFlight) in flight, \(state.delivered) delivered, \
      \(state.dead) dead\(retrying(state))
      jobs         \(state.openJobs) open\(state.draining ? "; draining: no new ones are taken" : "")\(full(state))
      """
  }

  private static func retrying(_ state: UplinkState) -> String {
    guard state.retrying > 0 else { return "" }
    let jobs = state.retrying == 1 ? "job" : "jobs"
    return
      "\nretrying     \(state.retrying) \(jobs) whose next update failed: refused, or the connection was lost with it"
  }

  private static func full(_ state: UplinkState) -> String {
    switch state.full {
    case "": ""
    case "disk": "\nrecord       the disk is full: new jobs are rejected and workers wait; make room on it"
    default:
      "\nrecord       full with \(state.bytes) bytes: new jobs are rejected and workers wait; see [outbox] max_rows and "
        + "max_bytes"
    }
  }

  /// Each dead letter with its history below it.
  static func dead(_ letters: [DeadLetter]) -> String {
    guard !letters.isEmpty else { return "there are no dead letters" }
    var table = TextTable([("ID", .right), ("JOB", .left), ("STATUS", .left), ("BYTES", .right), ("DEAD SINCE", .left)])
    for letter in letters {
      table.add([
        "\(letter.id)", letter.job.description, letter.status.name, "\(letter.bytes)",
        UTC.text(milliseconds: letter.deadSince),
      ])
    }
    let rows = table.text.split(separator: "\n", omittingEmptySubsequences: false)
    var text = String(rows[0])
    for (row, letter) in zip(rows.dropFirst(), letters) {
      text += "\n" + row
      for attempt in letter.history {
        text += "\n    \(UTC.text(milliseconds: attempt.at))  \(Terminal.printable(attempt.error))"
      }
    }
    return text
  }

  static func jobs(_ report: UplinkReport) -> String {
    guard !report.jobs.isEmpty else { return "no job is open" }
    var table = TextTable([("JOB", .left), ("AGE", .right), ("QUEUED", .right), ("PHASE", .left), ("STATUSES", .left)])
    for job in report.jobs {
      table.add([
        job.job.description, TextTable.duration(seconds: job.seconds), "\(job.queued)", job.phase.name,
        job.statuses.map(\.name).joined(separator: " "),
      ])
    }
    return table.text
  }

  static func queue(_ report: UplinkReport) -> String {
    guard !report.queue.isEmpty else { return "nothing is queued" }
    var table = TextTable([
      ("ID", .right), ("JOB", .left), ("STATUS", .left), ("ATTEMPTS", .right), ("IN FLIGHT", .left),
    ])
    for entry in report.queue {
      table.add([
        "\(entry.id)", entry.job.description, entry.status.name, "\(entry.attempts)", entry.inFlight ? "yes" : "no",
      ])
    }
    let more = max(0, report.state.queued) - report.queue.count
    return table.text + (more > 0 ? "\nand \(more) more" : "")
  }
}
