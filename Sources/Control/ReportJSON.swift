import JSON
import Messages

/// What a script reads of a report: one object, on one line. Its names are fixed, and each is always there.
enum ReportJSON {
  /// `uplink`, as all others have it, and `children`.
  static func status(_ report: ServiceReport) -> String {
    text([
      uplink(report.uplink),
      JSONMember(
        "children",
        .array(
          report.children.map { child in
            .object([
              JSONMember("name", .string(child.name)),
              JSONMember("job", child.job.map { .string($0.description) } ?? .null),
              JSONMember("pid", child.pid > 0 ? .integer(child.pid) : .null),
              JSONMember("generation", .integer(child.generation)),
              JSONMember("state", .string(child.state)),
              JSONMember("seconds_in_state", .integer(child.seconds)),
              JSONMember("restarts_last_hour", .integer(child.restartsLastHour)),
              JSONMember("last_death", nonEmpty(child.lastDeath)),
            ])
          })),
    ])
  }

  /// `uplink` and `jobs`.
  static func jobs(_ report: UplinkReport?) -> String {
    text([
      uplink(report),
      list("jobs", report?.jobs) { job in
        [
          JSONMember("job", .string(job.job.description)),
          JSONMember("phase", .string(job.phase.name)),
          JSONMember("seconds", .integer(job.seconds)),
          JSONMember("queued", .integer(job.queued)),
          JSONMember("statuses", .array(job.statuses.map { .string($0.name) })),
        ]
      },
    ])
  }

  /// `uplink` and `queue`.
  static func queue(_ report: UplinkReport?) -> String {
    text([
      uplink(report),
      list("queue", report?.queue) { entry in
        [
          JSONMember("id", .integer(entry.id)),
          JSONMember("job", .string(entry.job.description)),
          JSONMember("status", .string(entry.status.name)),
          JSONMember("attempts", .integer(entry.attempts)),
          JSONMember("in_flight", .bool(entry.inFlight)),
        ]
      },
    ])
  }

  /// `dead`.
  static func dead(_ letters: [DeadLetter]) -> String {
    text([
      list("dead", letters) { letter in
        [
          JSONMember("id", .integer(letter.id)),
          JSONMember("job", .string(letter.job.description)),
          JSONMember("status", .string(letter.status.name)),
          JSONMember("stored_at", .string(UTC.text(milliseconds: letter.storedAt))),
          JSONMember("dead_since", .string(UTC.text(milliseconds: letter.deadSince))),
          JSONMember("bytes", .integer(letter.bytes)),
          list("history", letter.history) { attempt in
            [
              JSONMember("at", .string(UTC.text(milliseconds: attempt.at))),
              JSONMember("error", .string(attempt.error)),
            ]
          },
        ]
      }
    ])
  }

  /// `done` and `refused`.
  static func settled(done: Int, _ refusals: [DeadLetterRefusal]) -> String {
    text([
      JSONMember("done", .integer(done)),
      list("refused", refusals) { refusal in
        [JSONMember("id", .integer(refusal.id)), JSONMember("reason", .string(refusal.reason))]
      },
    ])
  }

  private static func uplink(_ report: UplinkReport?) -> JSONMember {
    guard let state = report?.state else { return JSONMember("uplink", .null) }
    return JSONMember(
      "uplink",
      .object([
        JSONMember("session", .string(state.session)),
        JSONMember("last_loss", nonEmpty(state.lastLoss)),
        JSONMember("open_jobs", .integer(state.openJobs)),
        JSONMember("queued", .integer(state.queued)),
        JSONMember("queue_age_seconds", .integer(state.queueAgeSeconds)),
        JSONMember("in_flight", .integer(state.inFlight)),
        JSONMember("stored", .integer(state.stored)),
        JSONMember("delivered", .integer(state.delivered)),
        JSONMember("retrying", .integer(state.retrying)),
        JSONMember("dead", .integer(state.dead)),
        JSONMember("record_bytes", .integer(state.bytes)),
        JSONMember("full", nonEmpty(state.full)),
        JSONMember("draining", .bool(state.draining)),
      ]))
  }

  /// A list of objects, or null where nobody has told.
  private static func list<Element>(
    _ name: String, _ elements: [Element]?, _ members: (Element) -> [JSONMember]
  ) -> JSONMember {
    JSONMember(name, elements.map { .array($0.map { .object(members($0)) }) } ?? .null)
  }

  private static func nonEmpty(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

  private static func text(_ members: [JSONMember]) -> String {
    String(decoding: JSONValue.object(members).text(.compact), as: UTF8.self)
  }
}
