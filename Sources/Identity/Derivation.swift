import CSodium

/// One step of a derivation path.
struct Junction {
  /// Whether the step needs the secret key (`//name`) or can be followed with the public key alone (`/name`).
  let isHard: Bool
  /// The 32 bytes that the step's name stands for.
  let chainCode: [UInt8]

  /// The longest path taken, in bytes of UTF-8.
  static let pathLimit = 1024

  /// The steps of a path such as `//Alice/soft//0`; none for an empty path.
  static func path(_ text: String) throws(IdentityError) -> [Junction] {
    guard text.utf8.count <= pathLimit else { throw .derivationPathInvalid }
    let slash = UInt8(ascii: "/")
    var junctions: [Junction] = []
    var rest = text.utf8[...]
    while !rest.isEmpty {
      let slashes = rest.prefix { $0 == slash }.count
      rest = rest.dropFirst(slashes)
      let name = rest.prefix { $0 != slash }
      guard 1...2 ~= slashes, !name.isEmpty else { throw .derivationPathInvalid }
      junctions.append(Junction(isHard: slashes == 2, chainCode: chainCode(String(Substring(name)))))
      rest = rest.dropFirst(name.count)
    }
    return junctions
  }

  /// A name that is a number stands for its 8 bytes, any other for its SCALE encoding, little-endian both; hashed when
  /// longer than 32 bytes, filled with zeros when shorter (Substrate, "Derivation paths").
  private static func chainCode(_ name: String) -> [UInt8] {
    var encoded: [UInt8]
    // Swift reads "-0" as a number; the path's rules do not.
    if let number = UInt64(name), !name.hasPrefix("-") {
      encoded = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    } else {
      let count = name.utf8.count
      // SCALE's compact length: two low bits say in how many bytes it comes; two reach beyond `pathLimit`.
      encoded =
        count < 64 ? [UInt8(count << 2)] : [UInt8(truncatingIfNeeded: count << 2 | 1), UInt8(count >> 6)]
      encoded += Array(name.utf8)
    }
    if encoded.count > 32 { return Blake2b.hash256(encoded) }
    return encoded + Array(repeating: 0, count: 32 - encoded.count)
  }
}

extension SecretKey {
  /// The phrase of Substrate's development accounts, known to everybody.
  private static let developmentPhrase =
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

  /// A key of the development accounts that everybody knows, such as `//Alice`. For tests and demonstrations only.
  ///
  /// - Throws: what ``derived(_:)`` throws.
  public static func development(_ path: String) throws(IdentityError) -> SecretKey {
    try SecretKey(phrase: developmentPhrase.utf8).derived(path)
  }

  /// The key at the end of a derivation path: `//name` for a hard step, `/name` for a soft one.
  ///
  /// - Throws: ``IdentityError/derivationPathInvalid``, ``IdentityError/sodiumFailed(call:)``.
  public func derived(_ path: String) throws(IdentityError) -> SecretKey {
    var key = self
    for junction in try Junction.path(path) {
      key = try junction.isHard ? key.hardDerived(junction.chainCode) : key.softDerived(junction.chainCode)
    }
    return key
  }

  private static func derivationTranscript(_ chainCode: [UInt8]) -> Transcript {
    var transcript = Transcript("SchnorrRistrettoHDKD")
    transcript.append("sign-bytes", [])
    transcript.append("chain-code", chainCode)
    return transcript
  }

  private func hardDerived(_ chainCode: [UInt8]) throws(IdentityError) -> SecretKey {
    try SecretKey { secret in
      var transcript = Self.derivationTranscript(chainCode)
      withBytes { own in
        transcript.append(
          "secret-key", UnsafeBufferPointer(start: own, count: Schnorrkel.elementCount))
      }
      withWipedScratch(Self.seedCount) { seed in
        transcript.challenge(
          "HDKD-hard", into: UnsafeMutableBufferPointer(start: seed, count: Self.seedCount))
        Self.expand(seed: seed, into: secret)
      }
    }
  }

  private func softDerived(_ chainCode: [UInt8]) throws(IdentityError) -> SecretKey {
    try SecretKey { secret in
      var transcript = Self.derivationTranscript(chainCode)
      transcript.append("public-key", publicKey.bytes)
      withBytes { own in
        withWipedScratch(Schnorrkel.elementCount) { offset in
          transcript.challengeScalar("HDKD-scalar", into: offset)
          crypto_core_ristretto255_scalar_add(secret, own, offset)
        }
        // The nonce is nobody's to recompute: it only backs up the randomness of signatures.
        transcript.witness(
          "HDKD-nonce", secrets: [UnsafeBufferPointer(start: own, count: Self.privateKeyCount)],
          into: UnsafeMutableBufferPointer(
            start: secret + Schnorrkel.elementCount, count: Schnorrkel.elementCount))
      }
    }
  }
}
