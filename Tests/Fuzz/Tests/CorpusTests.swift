import Fuzzing
import TestSupport
import Testing

/// What `make fuzz` has found worth keeping, and some mutations of it, through every target: without sanitizers and
/// coverage, so that it needs no build of its own.
@Suite(.serialized) struct CorpusTests {
  /// How long each target is fed with mutations.
  private static let time = Duration.seconds(4)

  @Test(arguments: FuzzTarget.allCases) func theCorpusFindsNothing(_ target: FuzzTarget) throws {
    let inputs = try corpus(target)
    #expect(!inputs.isEmpty)
    for input in inputs { feed(target, input, "in the corpus") }
  }

  @Test(arguments: FuzzTarget.allCases) func mutationsFindNothing(_ target: FuzzTarget) throws {
    // Told before anything can trap: with it every input comes again.
    let seed = testSeed("CorpusTests \(target)")
    var random = SplitMix64(state: seed)
    let inputs = try corpus(target)
    let end = ContinuousClock.now + Self.time
    var round = 0
    while ContinuousClock.now < end {
      let input = mutation(of: inputs, &random)
      feed(target, input, "seed \(seed), round \(round)")
      round += 1
    }
    print("\(target): \(round) mutations")
  }

  private func feed(_ target: FuzzTarget, _ input: [UInt8], _ place: String) {
    do throws(Finding) { try target.run(input) } catch {
      Issue.record("\(error); \(place): \(input.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())")
    }
  }

  private func mutation(of inputs: [[UInt8]], _ random: inout SplitMix64) -> [UInt8] {
    var input = inputs.randomElement(using: &random) ?? []
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let start = Int.random(in: 0...input.count, using: &random)
      let end = min(input.count, start + Int.random(in: 0...8, using: &random))
      switch Int.random(in: 0...5, using: &random) {
      case 0: if start < input.count { input[start] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
      case 1: if start < input.count { input[start] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0 }
      case 2: input.replaceSubrange(start..<end, with: random.bytes(Int.random(in: 0...8, using: &random)))
      case 3: input.removeSubrange(start..<end)
      case 4: input.insert(contentsOf: input[start..<end], at: start)
      default:
        // The head of one and the tail of another.
        let other = inputs.randomElement(using: &random) ?? []
        input = input[..<start] + other.suffix(Int.random(in: 0...other.count, using: &random))
      }
    }
    return Array(input.prefix(4096))
  }
}
