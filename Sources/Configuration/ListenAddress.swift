/// An address to listen at. Not a name: what a name stands for may change, and where one listens should not.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
  /// An IPv4 address, or an IPv6 address without brackets.
  public let host: String
  /// From 1 to 65535.
  public let port: Int
  /// Whether `host` is an IPv6 address.
  public let isIPv6: Bool
  /// Whether `host` is this machine only: 127.0.0.0/8 or ::1.
  public let isLoopback: Bool

  /// Reads `ADDRESS:PORT`, with an IPv6 address in brackets.
  public init(_ text: String) throws(InvalidText) {
    let address = try HostPort(text)
    guard address.kind != .name else {
      throw InvalidText("must begin with an IP address, not a name, as in 127.0.0.1:9464")
    }
    guard let port = address.port else {
      throw InvalidText("must name a port, as in 127.0.0.1:9464")
    }
    host = address.host
    self.port = port
    isIPv6 = address.kind == .ipv6
    isLoopback = address.isLoopback
  }

  /// `ADDRESS:PORT`, with an IPv6 address in brackets.
  public var description: String {
    isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
