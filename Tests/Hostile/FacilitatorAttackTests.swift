import Messages
import Platform
import Rehearsal
import Stage
import Testing

/// What a facilitator may do to Uplink, and what must come of it.
@Suite(.serialized) struct FacilitatorAttackTests {
  @Test func aFacilitatorThatBehavesIsServed() throws {
    try withHostileFacilitator { connection in
      try connection.welcome()
      try connection.serve()
    } _: { rehearsal, facilitator in
      let job = try rehearsal.startJob(at: facilitator)
      for status in reported { try rehearsal.worker(job).acknowledged(status) }
      try rehearsal.expectAccepted(job, [.received] + reported, by: facilitator)
      #expect(facilitator.connectionCount == 1)
      try rehearsal.expectPeakMemoryWithinBounds("no attack")
    }
  }
}
