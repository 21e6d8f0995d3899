import Messages
import Testing

@testable import Decisions

@Suite struct LeftoversTests {
  private func orphan(session: Int32 = 900, at start: UInt64, job: JobID? = nil) -> Leftovers.Orphan {
    Leftovers.Orphan(session: session, startTime: start, job: job)
  }

  @Test func whoNamesAJobBelongsToItsCommand() {
    var leftovers = Leftovers(hasStrangers: true)
    leftovers.started(10, job: job(1), startTime: 100)
    leftovers.started(20, job: job(2), startTime: 200)
    #expect(!leftovers.isLeftOver(orphan(at: 300, job: job(1))))
    leftovers.ended(10)
    #expect(leftovers.isLeftOver(orphan(at: 300, job: job(1))))
    #expect(!leftovers.isLeftOver(orphan(at: 300, job: job(2))))
    // In a session of a command that runs, it is ended with its group at the latest.
    #expect(!leftovers.isLeftOver(orphan(session: 20, at: 300, job: job(1))))
    #expect(leftovers.hasRun(inSession: 20) && !leftovers.hasRun(inSession: 10))
  }

  @Test func whoNamesNoneIsNobodysThatStartedLater() {
    var leftovers = Leftovers(hasStrangers: false)
    leftovers.started(10, job: job(1), startTime: 100)
    leftovers.started(20, job: job(2), startTime: 300)
    #expect(!leftovers.isLeftOver(orphan(at: 200)))
    leftovers.ended(10)
    #expect(leftovers.isLeftOver(orphan(at: 200)))
    #expect(!leftovers.isLeftOver(orphan(at: 300)))
    // Of one that is not to be seen nothing is known.
    #expect(!leftovers.isLeftOver(nil))
    leftovers.ended(20)
    #expect(leftovers.isLeftOver(nil))
    #expect(leftovers.isLeftOver(orphan(at: 300)))
  }

  @Test func strangersAreLeftAlone() {
    let leftovers = Leftovers(hasStrangers: true)
    #expect(!leftovers.isLeftOver(nil))
    #expect(!leftovers.isLeftOver(orphan(at: 300)))
    #expect(leftovers.isLeftOver(orphan(at: 300, job: job(1))))
  }
}
