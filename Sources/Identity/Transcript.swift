import CSodium

/// A Merlin transcript (merlin.cool, "Transcript Operations"): what a proof speaks of, message by message, from which
/// its challenges follow.
struct Transcript: ~Copyable {
  private var strobe: Strobe128

  /// Begins the transcript of a protocol.
  init(_ label: String) {
    strobe = Strobe128(protocolName: "Merlin v1.0")
    append("dom-sep", label.utf8)
  }

  /// Adds a message of less than 4 GiB under a label.
  mutating func append(_ label: String, _ message: some Collection<UInt8>) {
    frame(label, count: message.count)
    strobe.ad(message)
  }

  /// Fills `output` with bytes that depend on all messages so far.
  mutating func challenge(_ label: String, into output: UnsafeMutableBufferPointer<UInt8>) {
    frame(label, count: output.count)
    strobe.prf(into: output)
  }

  /// Writes a challenge, reduced to a scalar of ristretto255, into the 32 bytes at `scalar`.
  mutating func challengeScalar(_ label: String, into scalar: UnsafeMutablePointer<UInt8>) {
    withWipedScratch(64) { wide in
      challenge(label, into: UnsafeMutableBufferPointer(start: wide, count: 64))
      crypto_core_ristretto255_scalar_reduce(scalar, wide)
    }
  }

  /// Fills `output` with secret bytes that depend on the transcript, on `secrets` and on fresh randomness
  /// (merlin.cool, "Transcript-based RNGs").
  ///
  /// As long as one of `secrets` is unknown to others and the messages differ, the bytes stay unpredictable even when
  /// the system's randomness fails.
  func witness(
    _ label: String, secrets: [UnsafeBufferPointer<UInt8>], into output: UnsafeMutableBufferPointer<UInt8>
  ) {
    withWipedScratch(32) { random in
      randombytes_buf(random, 32)
      witness(
        label, secrets: secrets, randomness: UnsafeBufferPointer(start: random, count: 32), into: output)
    }
  }

  /// The same with the randomness given.
  func witness(
    _ label: String, secrets: [UnsafeBufferPointer<UInt8>], randomness: UnsafeBufferPointer<UInt8>,
    into output: UnsafeMutableBufferPointer<UInt8>
  ) {
    var generator = strobe.copy()
    for secret in secrets {
      generator.metaAD(label.utf8)
      generator.continueMetaAD(Self.littleEndian(secret.count))
      generator.key(secret)
    }
    generator.metaAD("rng".utf8)
    generator.key(randomness)
    generator.metaAD(Self.littleEndian(output.count))
    generator.prf(into: output)
  }

  private mutating func frame(_ label: String, count: Int) {
    strobe.metaAD(label.utf8)
    strobe.continueMetaAD(Self.littleEndian(count))
  }

  private static func littleEndian(_ count: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
  }
}
