import CSodium

/// The signature scheme sr25519: Schnorr signatures over ristretto255 with Merlin transcripts, as the crate schnorrkel
/// defines it and Substrate uses it, under the context `substrate` (PROTOCOL.md, "Keys").
enum Schnorrkel {
  /// Bytes of a scalar and of an encoded point.
  static let elementCount = 32

  /// schnorrkel marks its signatures with the highest bit of s, which no reduced scalar has set.
  private static let marker: UInt8 = 0x80

  private static func transcript(of message: some Collection<UInt8>, by key: PublicKey) -> Transcript {
    var transcript = Transcript("SigningContext")
    transcript.append("", "substrate".utf8)
    transcript.append("sign-bytes", message)
    transcript.append("proto-name", "Schnorr-sig".utf8)
    transcript.append("sign:pk", key.bytes)
    return transcript
  }

  /// A randomised signature: R = rG and s = k * key + r, where k is the transcript's challenge.
  ///
  /// - Parameters:
  ///   - message: at most ``Signature/messageLimit`` bytes, which the caller has seen to.
  ///   - secret: 64 bytes, the key's scalar and its nonce.
  ///   - key: the public key of that scalar.
  static func sign(
    _ message: [UInt8], secret: UnsafePointer<UInt8>, publicKey key: PublicKey
  ) throws(IdentityError) -> Signature {
    var transcript = transcript(of: message, by: key)
    var commitment = [UInt8](repeating: 0, count: elementCount)
    var response = [UInt8](repeating: 0, count: elementCount)
    var challenge = [UInt8](repeating: 0, count: elementCount)
    try withWipedScratch(4 * elementCount) { scratch throws(IdentityError) in
      let (wide, witness, product) = (scratch, scratch + 2 * elementCount, scratch + 3 * elementCount)
      let nonce = UnsafeBufferPointer(start: secret + elementCount, count: elementCount)
      transcript.witness(
        "signing", secrets: [nonce],
        into: UnsafeMutableBufferPointer(start: wide, count: 2 * elementCount))
      crypto_core_ristretto255_scalar_reduce(witness, wide)
      // Fails for a witness of zero, with which the signature would give the key away.
      guard crypto_scalarmult_ristretto255_base(&commitment, witness) == 0 else {
        throw .sodiumFailed(call: "crypto_scalarmult_ristretto255_base")
      }
      transcript.append("sign:R", commitment)
      transcript.challengeScalar("sign:c", into: &challenge)
      crypto_core_ristretto255_scalar_mul(product, challenge, secret)
      crypto_core_ristretto255_scalar_add(&response, product, witness)
    }
    response[elementCount - 1] |= marker
    return try Signature(commitment + response)
  }

  /// Whether sG - kA encodes to R, for a marked signature with a reduced s and a public key A that is a point.
  ///
  /// The neutral element is refused as a public key: anybody can sign for it.
  static func verify(_ signature: Signature, of message: some Collection<UInt8>, by key: PublicKey) -> Bool {
    let commitment = signature.bytes.prefix(elementCount)
    var response = Array(signature.bytes.suffix(elementCount))
    guard response[elementCount - 1] & marker != 0 else { return false }
    response[elementCount - 1] &= ~marker
    guard isReduced(response), key.bytes.contains(where: { $0 != 0 }) else { return false }

    var transcript = transcript(of: message, by: key)
    transcript.append("sign:R", commitment)
    var challenge = [UInt8](repeating: 0, count: elementCount)
    transcript.challengeScalar("sign:c", into: &challenge)

    // The second product fails for a key that is no point, so that decoding it once is enough; beyond that both fail
    // only when they are the neutral element. That is no fault in the first, whose encoding is the zeros that are there
    // already, and in the second, of a sound key, it takes a challenge of zero, which nobody finds.
    var left = [UInt8](repeating: 0, count: elementCount)
    var right = left
    _ = crypto_scalarmult_ristretto255_base(&left, response)
    guard crypto_scalarmult_ristretto255(&right, challenge, key.bytes) == 0 else { return false }
    var expected = [UInt8](repeating: 0, count: elementCount)
    guard crypto_core_ristretto255_sub(&expected, left, right) == 0 else { return false }
    return commitment.elementsEqual(expected)
  }

  /// Whether the 32 bytes at `scalar` are below the order of the group.
  static func isReduced(_ scalar: UnsafePointer<UInt8>) -> Bool {
    withWipedScratch(3 * elementCount) { scratch in
      let (wide, reduced) = (scratch, scratch + 2 * elementCount)
      wide.update(from: scalar, count: elementCount)
      crypto_core_ristretto255_scalar_reduce(reduced, wide)
      return sodium_memcmp(reduced, scalar, elementCount) == 0
    }
  }
}
