import Platform
import PowerCut
import TestSupport
import Testing

/// Whatever a power cut leaves on the disk, every acknowledged update is in it. `make power-cut` looks at more of it.
@Suite(.serialized) struct PowerCutTests {
  @Test func nothingAcknowledgedIsLost() throws {
    let counts = try PowerCut.run(
      states: 1000, statesOfRun: 500, programs: ProcessTable.ownFolder(), seed: testSeed("power cut"))
    #expect(counts.lost == 0, "\(counts)\n\(counts.findings.joined(separator: "\n"))")
    #expect(counts.states >= 1000 && counts.acknowledged > 0)
  }

  /// The search finds what decision 0020 mends: a log that counts before it is synced.
  @Test func aLogThatCountsBeforeItIsSyncedIsFound() throws {
    let seed = testSeed("power cut, without sync")
    for run: UInt64 in 0..<4 {
      let counts = try PowerCut.run(
        states: 300, programs: ProcessTable.ownFolder(), seed: seed &+ run, failpoint: PowerCut.withoutSync)
      if counts.findings.contains(where: { $0.contains("acknowledged and lost") }) { return }
    }
    Issue.record("no loss in four runs")
  }
}
