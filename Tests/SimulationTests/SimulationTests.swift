import Simulation
import TestSupport
import Testing

/// The whole system in simulated time, and whether the simulation would notice if it were broken.
@Suite struct SimulationTests {
  @Test func noSeedBreaksAPromise() {
    let first = testSeed("simulation")
    for seed in 0..<250 as Range<UInt64> {
      let outcome = Simulation.run(seed: first &+ seed)
      if let finding = outcome.finding {
        Issue.record("seed \(first &+ seed): \(finding); replay: make simulate SEEDS=1 SEED=\(first &+ seed) TRACE=1")
        return
      }
    }
  }

  @Test(arguments: Mutation.allCases)
  func aBrokenSystemIsFoundWithinAThousandSeeds(mutation: Mutation) {
    let found = (1...1000 as ClosedRange<UInt64>).first { Simulation.run(seed: $0, mutation: mutation).finding != nil }
    #expect(found != nil)
  }

  /// A finding can be looked at as often as it takes.
  @Test func aSeedReplaysExactly() {
    for seed in 1...10 as ClosedRange<UInt64> {
      let first = Simulation.run(seed: seed)
      let second = Simulation.run(seed: seed, traces: true)
      #expect(first.hash == second.hash && first.steps == second.steps)
      #expect(first.steps > 100 && first.trace.isEmpty && !second.trace.isEmpty)
    }
    #expect(Simulation.run(seed: 1).hash != Simulation.run(seed: 2).hash)
  }
}
