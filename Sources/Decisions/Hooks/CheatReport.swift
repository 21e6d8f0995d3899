import Messages

/// A verified cheat report on record, until the hook has taken it.
public struct CheatReport: Sendable, Hashable {
  public var number: UInt64
  /// JSON, exactly as received.
  public var body: [UInt8]
  /// By which the same report is known again.
  public var signatureHash: [UInt8]

  public init(number: UInt64, body: [UInt8], signatureHash: [UInt8]) {
    self.number = number
    self.body = body
    self.signatureHash = signatureHash
  }
}
