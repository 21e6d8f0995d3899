import JSON
import Messages
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// What the facilitator and the network can do to updates.
  @Suite struct FacilitatorFaults {
    @Test func anUpdateWhoseAnswerIsLostIsSentAgainAndCountsOnce() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.facilitator.tell([("command", .string("drop_before_answer")), ("count", .integer(2))])
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(rehearsal.facilitator.events.contains { $0.name == "duplicate" })
      }
    }

    @Test func whatIsReportedDuringAnOutageArrivesAfterIt() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        try rehearsal.facilitatorGoesAway()
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
        #expect(rehearsal.facilitator.accepted(job) == [.received])
        try rehearsal.facilitatorComesBack()
        try rehearsal.expectAccepted(job, [.received] + reported, milliseconds: 60_000)
      }
    }

    @Test func aRefusedUpdateIsTriedAgainAndHoldsBackOnlyItsOwnJob() throws {
      try onStage { rehearsal in
        let refused = try rehearsal.startJob()
        let other = try rehearsal.startJob()
        try rehearsal.facilitator.tell([
          ("command", .string("answer_error")), ("type", .string("job.not_found")), ("count", .integer(1)),
        ])
        try rehearsal.worker(refused).acknowledged(reported[0])
        let event = try rehearsal.facilitator.wait(milliseconds: 10_000) { $0.name == "refused" }
        #expect(event?.text("uuid") == refused.description)
        for status in reported.dropFirst() { try rehearsal.worker(refused).acknowledged(status) }
        for status in reported { try rehearsal.worker(other).acknowledged(status) }
        try rehearsal.expectAccepted(other, [.received] + reported)
        #expect(rehearsal.facilitator.accepted(refused) == [.received])
        try rehearsal.expectAccepted(refused, [.received] + reported)
      }
    }

    @Test(arguments: [1000, 1001, 1012, 3001])
    func itComesBackAfterAClosedConnection(code: Int) throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let before = rehearsal.facilitator.events.count
        try rehearsal.facilitator.tell([("command", .string("close")), ("code", .integer(code))])
        try rehearsal.waitUntilConnected(from: before)
        try rehearsal.worker(job).acknowledged(.accepted)
        try rehearsal.expectAccepted(job, [.received, .accepted])
      }
    }

    /// An error that names no update means that nothing can be matched any more.
    @Test func anAnswerThatCannotBeAttributedDropsTheConnectionAndLosesNothing() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let before = rehearsal.facilitator.events.count
        try rehearsal.facilitator.tell([
          ("command", .string("answer_error")), ("type", .string("json_invalid")), ("count", .integer(1)),
        ])
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
        try rehearsal.waitUntilConnected(from: before)
        try rehearsal.expectAccepted(job, [.received] + reported)
      }
    }

    @Test func whatTheFacilitatorShouldNotSendIsIgnored() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        for text in ["", "{}", "[]", "nonsense", #"{"message_type":"V9Unheard"}"#] {
          try rehearsal.facilitator.tell([("command", .string("raw")), ("text", .string(text))])
        }
        let worker = rehearsal.worker(job)
        for status in reported { try worker.acknowledged(status) }
        try rehearsal.expectAccepted(job, [.received] + reported)
        #expect(rehearsal.facilitator.events.count { $0.name == "authenticated" } == 1)
      }
    }
  }
}
