import Foundation

/// SplitMix64 (Steele, Lea and Flood, 2014): a whole sequence from one seed.
public struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  public init(state: UInt64) { self.state = state }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  public mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in .random(in: 0 ... .max, using: &self) }
  }
}

/// The seed of a random test, printed: $HORDELINK_TEST_SEED, else a new one.
public func testSeed(_ test: String) -> UInt64 {
  let given = ProcessInfo.processInfo.environment["HORDELINK_TEST_SEED"].flatMap { UInt64($0) }
  let seed = given ?? UInt64.random(in: 0 ... .max)
  print("\(test): HORDELINK_TEST_SEED=\(seed)")
  return seed
}
