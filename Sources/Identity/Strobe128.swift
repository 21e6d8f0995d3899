import CSodium

/// The permutation Keccak-f[1600] (FIPS 202, section 3).
enum Keccak {
  /// The number of 64-bit lanes in the state; lane (x, y) is at x + 5y.
  static let laneCount = 25

  /// Permutes the state of 25 lanes in place.
  static func permute(_ lanes: UnsafeMutablePointer<UInt64>) {
    for constant in roundConstants {
      // Theta: each lane takes up the parity of two columns.
      let (c0, c1, c2, c3, c4) = (
        column(lanes, 0), column(lanes, 1), column(lanes, 2), column(lanes, 3), column(lanes, 4)
      )
      mix(c4 ^ rotate(c1, 1), into: lanes, column: 0)
      mix(c0 ^ rotate(c2, 1), into: lanes, column: 1)
      mix(c1 ^ rotate(c3, 1), into: lanes, column: 2)
      mix(c2 ^ rotate(c4, 1), into: lanes, column: 3)
      mix(c3 ^ rotate(c0, 1), into: lanes, column: 4)
      // Rho and pi in one: walk the lanes in pi's order, turning each by rho's offset, the next triangular number. One
      // line a step, since a loop would compute the walk anew in every round: half the time of a signature.
      var carried = lanes[1]
      move(&carried, turned: 1, to: &lanes[10])
      move(&carried, turned: 3, to: &lanes[7])
      move(&carried, turned: 6, to: &lanes[11])
      move(&carried, turned: 10, to: &lanes[17])
      move(&carried, turned: 15, to: &lanes[18])
      move(&carried, turned: 21, to: &lanes[3])
      move(&carried, turned: 28, to: &lanes[5])
      move(&carried, turned: 36, to: &lanes[16])
      move(&carried, turned: 45, to: &lanes[8])
      move(&carried, turned: 55, to: &lanes[21])
      move(&carried, turned: 2, to: &lanes[24])
      move(&carried, turned: 14, to: &lanes[4])
      move(&carried, turned: 27, to: &lanes[15])
      move(&carried, turned: 41, to: &lanes[23])
      move(&carried, turned: 56, to: &lanes[19])
      move(&carried, turned: 8, to: &lanes[13])
      move(&carried, turned: 25, to: &lanes[12])
      move(&carried, turned: 43, to: &lanes[2])
      move(&carried, turned: 62, to: &lanes[20])
      move(&carried, turned: 18, to: &lanes[14])
      move(&carried, turned: 39, to: &lanes[22])
      move(&carried, turned: 61, to: &lanes[9])
      move(&carried, turned: 20, to: &lanes[6])
      move(&carried, turned: 44, to: &lanes[1])
      // Chi: each row on its own.
      for row in stride(from: 0, to: laneCount, by: 5) {
        let (a0, a1, a2, a3, a4) = (
          lanes[row], lanes[row + 1], lanes[row + 2], lanes[row + 3], lanes[row + 4]
        )
        lanes[row] = a0 ^ (~a1 & a2)
        lanes[row + 1] = a1 ^ (~a2 & a3)
        lanes[row + 2] = a2 ^ (~a3 & a4)
        lanes[row + 3] = a3 ^ (~a4 & a0)
        lanes[row + 4] = a4 ^ (~a0 & a1)
      }
      // Iota.
      lanes[0] ^= constant
    }
  }

  @inline(__always)
  private static func column(_ lanes: UnsafeMutablePointer<UInt64>, _ x: Int) -> UInt64 {
    lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
  }

  @inline(__always)
  private static func mix(_ parity: UInt64, into lanes: UnsafeMutablePointer<UInt64>, column x: Int) {
    for lane in stride(from: x, to: laneCount, by: 5) { lanes[lane] ^= parity }
  }

  /// Puts the lane that is carried down, and takes up the one that was there.
  @inline(__always)
  private static func move(_ carried: inout UInt64, turned bits: Int, to lane: inout UInt64) {
    let replaced = lane
    lane = rotate(carried, bits)
    carried = replaced
  }

  @inline(__always)
  private static func rotate(_ lane: UInt64, _ bits: Int) -> UInt64 {
    lane &<< UInt64(bits) | lane &>> UInt64((64 - bits) & 63)
  }

  /// RC[0] to RC[23] of FIPS 202, section 3.2.5.
  private static let roundConstants: [UInt64] = [
    0x0000_0000_0000_0001, 0x0000_0000_0000_8082, 0x8000_0000_0000_808A, 0x8000_0000_8000_8000,
    0x0000_0000_0000_808B, 0x0000_0000_8000_0001, 0x8000_0000_8000_8081, 0x8000_0000_0000_8009,
    0x0000_0000_0000_008A, 0x0000_0000_0000_0088, 0x0000_0000_8000_8009, 0x0000_0000_8000_000A,
    0x0000_0000_8000_808B, 0x8000_0000_0000_008B, 0x8000_0000_0000_8089, 0x8000_0000_0000_8003,
    0x8000_0000_0000_8002, 0x8000_0000_0000_0080, 0x0000_0000_0000_800A, 0x8000_0000_8000_000A,
    0x8000_0000_8000_8081, 0x8000_0000_0000_8080, 0x0000_0000_8000_0001, 0x8000_0000_8000_8008,
  ]
}

/// STROBE-128 over Keccak-f[1600], the four operations that Merlin uses (STROBE protocol framework 1.0.2, sections
/// 5 to 7; Merlin, "STROBE").
///
/// The state may hold secrets: there is one owner, copies are made by name, and it is wiped when it goes away.
struct Strobe128: ~Copyable {
  /// Rate of the sponge in bytes, less the two of padding: 200 - 2 * 128 / 8 - 2.
  private static let rate = 166

  private enum Flags {
    static let inbound: UInt8 = 1
    static let application: UInt8 = 2
    static let cipher: UInt8 = 4
    static let meta: UInt8 = 16
  }

  private let lanes: UnsafeMutablePointer<UInt64>
  /// Where the next byte goes; always below `rate`.
  private var position = 0
  /// One past where the current operation began in this block, or 0 when it began in an earlier one.
  private var operationStart: UInt8 = 0

  /// Begins a protocol of this name.
  init(protocolName: String) {
    lanes = .allocate(capacity: Keccak.laneCount)
    lanes.initialize(repeating: 0, count: Keccak.laneCount)
    let domain = [1, UInt8(Self.rate + 2), 1, 0, 1, 96] + Array("STROBEv1.0.2".utf8)
    for (offset, byte) in domain.enumerated() { xor(byte, at: offset) }
    Keccak.permute(lanes)
    metaAD(protocolName.utf8)
  }

  private init(copying other: borrowing Strobe128) {
    lanes = .allocate(capacity: Keccak.laneCount)
    lanes.initialize(from: other.lanes, count: Keccak.laneCount)
    position = other.position
    operationStart = other.operationStart
  }

  deinit {
    sodium_memzero(lanes, Keccak.laneCount * MemoryLayout<UInt64>.size)
    lanes.deallocate()
  }

  /// A second state that goes on from here on its own.
  func copy() -> Strobe128 {
    Strobe128(copying: self)
  }

  /// Absorbs framing: what the data that follows is.
  mutating func metaAD(_ data: some Sequence<UInt8>) {
    begin(Flags.meta | Flags.application)
    absorb(data)
  }

  /// Absorbs more framing, as one with the ``metaAD(_:)`` just before.
  mutating func continueMetaAD(_ data: some Sequence<UInt8>) {
    absorb(data)
  }

  /// Absorbs data.
  mutating func ad(_ data: some Sequence<UInt8>) {
    begin(Flags.application)
    absorb(data)
  }

  /// Replaces part of the state by `key`, so that what went before cannot be recomputed without it.
  mutating func key(_ key: some Sequence<UInt8>) {
    begin(Flags.application | Flags.cipher)
    for byte in key {
      xor(byte ^ self.byte(at: position), at: position)
      advance()
    }
  }

  /// Fills `output` with pseudo-random bytes that depend on all that went before, and forgets them.
  mutating func prf(into output: UnsafeMutableBufferPointer<UInt8>) {
    begin(Flags.inbound | Flags.application | Flags.cipher)
    for index in output.indices {
      output[index] = byte(at: position)
      xor(output[index], at: position)
      advance()
    }
  }

  private mutating func begin(_ flags: UInt8) {
    let previous = operationStart
    operationStart = UInt8(position + 1)
    absorb([previous, flags])
    // An operation with the cipher flag starts in a fresh block.
    if flags & Flags.cipher != 0 && position != 0 { permute() }
  }

  private mutating func absorb(_ data: some Sequence<UInt8>) {
    for byte in data {
      xor(byte, at: position)
      advance()
    }
  }

  private mutating func advance() {
    position += 1
    if position == Self.rate { permute() }
  }

  private mutating func permute() {
    xor(operationStart, at: position)
    xor(0x04, at: position + 1)
    xor(0x80, at: Self.rate + 1)
    Keccak.permute(lanes)
    position = 0
    operationStart = 0
  }

  // The state is little-endian by definition; shifts instead of a view of its bytes hold on every machine.

  private func byte(at offset: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: lanes[offset / 8] &>> UInt64(offset % 8 * 8))
  }

  private func xor(_ byte: UInt8, at offset: Int) {
    lanes[offset / 8] ^= UInt64(byte) &<< UInt64(offset % 8 * 8)
  }
}
