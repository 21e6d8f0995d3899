import Messages

/// The address of a WebSocket (RFC 6455, section 3).
public struct WebSocketURL: Sendable, Equatable, CustomStringConvertible {
  /// Whether it is wss, a WebSocket inside TLS.
  public let secure: Bool
  /// A host name, an IPv4 address or an IPv6 address without brackets, in lower case.
  public let host: String
  /// From 1 to 65535; 443 for wss and 80 for ws unless given.
  public let port: Int
  /// The path and query as they were given; empty when neither was.
  public let path: String
  /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1.
  public let isLoopback: Bool
  /// Whether the host is an IP address rather than a name.
  public let isAddress: Bool

  /// Reads `ws://HOST[:PORT][PATH]` or `wss://...`, printable ASCII of at most 2,048 bytes. Refuses userinfo
  /// and fragments (RFC 6455 has no fragments; the facilitator asks for no password).
  public init(_ text: String) throws(InvalidText) {
    let url = try URLText(text)
    switch url.scheme {
    case "wss": secure = true
    case "ws": secure = false
    default:
      throw InvalidText("must begin with wss:// (or with ws:// for a facilitator on this machine)")
    }
    guard url.userinfo == nil else {
      throw InvalidText("must not hold a user name or password: the hotkey proves who connects")
    }
    host = url.address.host
    port = url.address.port ?? (secure ? 443 : 80)
    path = url.rest
    isLoopback = url.address.isLoopback
    isAddress = url.address.kind != .name
  }

  /// What a GET asks for: the path, which HTTP wants to begin with / (RFC 9112, section 3.2.1).
  public var requestTarget: String {
    path.hasPrefix("/") ? path : "/" + path
  }

  /// The value of the Host header: the port is left out when it is the scheme's own (RFC 9110, section 7.2).
  public var authority: String {
    let name = bracketed(host)
    return port == (secure ? 443 : 80) ? name : "\(name):\(port)"
  }

  /// The URL, normalised: lower-case scheme and host, no default port.
  public var description: String {
    "\(secure ? "wss" : "ws")://\(authority)\(path)"
  }
}
