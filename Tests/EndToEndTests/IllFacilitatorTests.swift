import JSON
import Messages
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// A facilitator that authenticates and takes no update for minutes: Uplink's clock runs thirty times as fast.
  @Suite struct IllFacilitator {
    private static let haste = 30

    /// How it is ill, as commands of the dev facilitator: to fall ill, and to be well again.
    enum Illness: String, CaseIterable, CustomTestStringConvertible {
      case drops, closes, garbles, jobNotFound, valueError

      var commands: (begin: [(String, JSONValue)], end: [(String, JSONValue)]) {
        switch self {
        case .drops, .closes, .garbles:
          func ill(_ how: String) -> [(String, JSONValue)] { [("command", .string("ill")), ("how", .string(how))] }
          return (ill(rawValue), ill("well"))
        case .jobNotFound: return (Self.error("job.not_found", 1_000_000), Self.error("job.not_found", 0))
        case .valueError: return (Self.error("value_error", 1_000_000), Self.error("value_error", 0))
        }
      }

      private static func error(_ type: String, _ count: Int) -> [(String, JSONValue)] {
        [("command", .string("answer_error")), ("type", .string(type)), ("count", .integer(count))]
      }

      var testDescription: String { rawValue }
    }

    /// 240 s of it, on Uplink's clock: everything acknowledged arrives afterwards, in order, once.
    @Test(arguments: Illness.allCases)
    func nothingAcknowledgedIsBuried(illness: Illness) throws {
      try onStage { settings in
        settings.environment = ["HORDELINK_HASTE=\(Self.haste)"]
      } _: { rehearsal in
        let jobs = try (0..<3).map { _ in try rehearsal.startJob() }
        try rehearsal.facilitator.tell(illness.commands.begin)
        for status in reported { for job in jobs { try rehearsal.worker(job).acknowledged(status) } }
        // The time itself is what is tested: there is nothing to be observed but that nothing gets through.
        let end = Deadline.after(milliseconds: 240_000 / Self.haste)
        while end.millisecondsLeft > 0 { try rehearsal.facilitator.read(milliseconds: 50) }
        #expect(rehearsal.facilitator.events.contains { $0.name == "refused" })
        #expect(try rehearsal.report()?.uplink?.state.dead == 0)
        try rehearsal.facilitator.tell(illness.commands.end)
        for job in jobs { try rehearsal.expectAccepted(job, [.received] + reported, milliseconds: 30_000) }
        #expect(try rehearsal.report()?.uplink?.state.dead == 0)
      }
    }
  }
}
