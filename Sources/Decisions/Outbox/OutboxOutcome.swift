import Messages

// What comes of what was sent.
extension Outbox {
  /// What an answer means.
  public enum Outcome: Sendable, Hashable {
    /// The facilitator has it. `already`: it said so by refusing a second one.
    case delivered(OutboxEntry, already: Bool)
    /// Refused; tried again at that time, and its job waits with it.
    case retry(OutboxEntry, at: Instant, FacilitatorError)
    /// A message that is not in the record was answered.
    case ephemeral(JobID, FacilitatorAnswer)
    /// The connection has to be dropped: the two sides no longer agree, or must agree anew.
    case disagreement(String)
  }

  /// How an attempt failed.
  public enum Failure: Sendable, Hashable {
    case refused(FacilitatorError)
    /// The connection was lost with it alone in flight.
    case lost
  }

  /// What a failed attempt has come to, now that another job's update was taken.
  public enum Judgement: Sendable, Hashable {
    /// It counts: tried again, sooner than it would be in an outage.
    case counted(OutboxEntry, Failure)
    /// It was one too many: set aside, and its job goes on once that is on record.
    case dead(OutboxEntry, Failure)
  }

  /// Why a connection is no more.
  public enum Loss: Sendable, Hashable {
    case lost
    /// The two sides had stopped agreeing on what an answer means: what was in flight is sent one at a time until the
    /// culprit is found.
    case disagreement
    /// It was ended here, for a reason of our own.
    case ours
  }
}
