import CSodium

/// The secret by which Uplink knows the Listeners that the Supervisor has started: made anew by each Supervisor, and known
/// to these two alone. docs/decisions/0022-tokens-of-listeners.md
public struct ListenerSecret: Sendable {
  public static let count = 32

  public let bytes: [UInt8]

  /// - Returns: nil unless there are `count` bytes.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.count else { return nil }
    self.bytes = bytes
  }

  /// A new one, from the system's random numbers.
  public init() throws(IdentityError) {
    try Sodium.start()
    var bytes = [UInt8](repeating: 0, count: Self.count)
    randombytes_buf(&bytes, Self.count)
    self.bytes = bytes
  }

  /// What proves that a Listener was started for this channel, as this run of it.
  ///
  /// - Parameters:
  ///   - channel: a job's uuid, or a word that is none.
  ///   - generation: the Listener's.
  public func token(channel: String, generation: UInt64) -> [UInt8] {
    let number = (0..<8).map { UInt8(truncatingIfNeeded: generation >> (56 - 8 * $0)) }
    return Blake2b.hash256(Array("hordelink listener \(channel) ".utf8) + number, key: bytes)
  }

  /// Whether this is that token. Takes as long for a wrong one as for the right one.
  public func isToken(_ token: [UInt8], channel: String, generation: UInt64) -> Bool {
    let expected = self.token(channel: channel, generation: generation)
    return token.count == expected.count && sodium_memcmp(token, expected, expected.count) == 0
  }
}
