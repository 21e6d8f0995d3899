import Decisions
import Messages

/// The facilitator as PROTOCOL.md has it: a row for each (job, status), and an answer without an id for each
/// message, in order.
struct FacilitatorModel {
  struct Update: Hashable {
    var job: JobID
    var status: JobStatus
  }

  /// What it accepted, in order; each is a row.
  private(set) var accepted: [Update] = []
  private var rows: Set<Update> = []
  /// What came on this connection and has not been looked at.
  private var arriving: [Update] = []
  /// Answers on their way.
  private var answers: [FacilitatorAnswer] = []
  /// Updates that it does not understand, whenever they come.
  var poison: Set<Update> = []
  /// How often it still refuses an update it will take in the end.
  var refusals: [Update: Int] = [:]

  var isIdle: Bool { arriving.isEmpty && answers.isEmpty }

  mutating func receive(_ job: JobID, _ status: JobStatus) {
    arriving.append(Update(job: job, status: status))
  }

  /// Looks at the next message. Returns false when there is none.
  mutating func work() -> Bool {
    guard !arriving.isEmpty else { return false }
    let update = arriving.removeFirst()
    if poison.contains(update) {
      answers.append(errors("value_error"))
    } else if rows.contains(update) {
      answers.append(errors("job.integrity_error"))
    } else if let left = refusals[update], left > 0 {
      refusals[update] = left - 1
      answers.append(errors("job.not_found"))
    } else {
      rows.insert(update)
      accepted.append(update)
      answers.append(.success)
    }
    return true
  }

  mutating func answer() -> FacilitatorAnswer? { answers.isEmpty ? nil : answers.removeFirst() }

  /// The connection is gone, and with it what was on its way in both directions.
  mutating func disconnect() {
    arriving = []
    answers = []
  }

  func accepted(of job: JobID) -> [JobStatus] { accepted.filter { $0.job == job }.map(\.status) }
}
