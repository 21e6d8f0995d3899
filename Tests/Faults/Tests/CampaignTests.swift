import FaultCampaign
import Platform
import TestSupport
import Testing

/// What a worker has an acknowledgement for arrives in order and once, and every job ends in exactly one terminal
/// status, whatever is killed. `make faults KILLS=1000` does more of the same.
@Suite(.serialized) struct CampaignTests {
  @Test(arguments: [(Campaign.Kind.launcher, 38), (.worker, 12)])
  func killsUnderLoadLoseNothing(kind: Campaign.Kind, kills: Int) throws {
    let counts = try Campaign.run(
      kind, kills: kills, programs: ProcessTable.ownFolder(), seed: testSeed("kill campaign, \(kind)"))
    #expect(counts.isClean, "\(counts)\n\(counts.findings.joined(separator: "\n"))")
    #expect(counts.killed >= kills && counts.jobs > 0)
  }
}
