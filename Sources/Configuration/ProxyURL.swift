import Messages

/// An HTTP proxy that opens tunnels by CONNECT (RFC 9110, section 9.3.6).
public struct ProxyURL: Sendable, Equatable, CustomStringConvertible {
  /// A host name, an IPv4 address or an IPv6 address without brackets, in lower case.
  public let host: String
  /// From 1 to 65535.
  public let port: Int
  /// `user:password` with percent-encoding undone, for Basic authentication (RFC 7617); nil without. A
  /// secret.
  public let credentials: String?

  /// Reads `http://[USER:PASSWORD@]HOST:PORT[/]`; `http://` may be left out, as it often is in $HTTPS_PROXY.
  ///
  /// The port must be given: some programs take 80 for a missing one and some 1080.
  public init(_ text: String) throws(InvalidText) {
    let url = try URLText(text.contains("://") ? text : "http://" + text)
    guard url.scheme == "http" else {
      throw InvalidText(
        "must begin with http://: only a proxy that is itself reached without TLS can be used")
    }
    guard url.rest.isEmpty || url.rest == "/" else {
      throw InvalidText("must not have a path after its port")
    }
    guard let port = url.address.port else {
      throw InvalidText("must name a port, as in http://HOST:3128")
    }
    credentials = url.userinfo.flatMap(percentDecoded)
    guard (credentials == nil) == (url.userinfo == nil) else {
      throw InvalidText("must have its user name and password percent-encoded, as UTF-8")
    }
    host = url.address.host
    self.port = port
  }

  /// `http://HOST:PORT`, without the credentials.
  public var description: String {
    "http://\(bracketed(host)):\(port)"
  }

  /// The variable of the environment that names a proxy for `url`, and its value; nil without one.
  ///
  /// As elsewhere, $HTTPS_PROXY is for wss alone, and $NO_PROXY lists the hosts that need no proxy: names,
  /// which stand for their subdomains too, addresses, or * for all.
  static func variable(
    for url: WebSocketURL, in environment: [String: String]
  ) -> (name: String, value: String)? {
    guard url.secure else { return nil }
    let exempt = (environment["NO_PROXY"] ?? environment["no_proxy"] ?? "").lowercased()
    for entry in exempt.split(whereSeparator: { $0 == "," || $0 == " " }) {
      let name = entry.hasPrefix(".") ? entry.dropFirst() : entry
      if name == "*" || url.host == name || url.authority == name || url.host.hasSuffix(".\(name)") {
        return nil
      }
    }
    for name in ["HTTPS_PROXY", "https_proxy"] {
      if let value = environment[name], !value.isEmpty { return (name, value) }
    }
    return nil
  }
}

/// Undoes percent-encoding (RFC 3986, section 2.1); nil when it is not whole or what comes out is not UTF-8.
func percentDecoded(_ text: String) -> String? {
  var bytes: [UInt8] = []
  var rest = text.utf8[...]
  while let byte = rest.popFirst() {
    guard byte == UInt8(ascii: "%") else {
      bytes.append(byte)
      continue
    }
    let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count == 2 else { return nil }
    bytes.append(UInt8(digits[0] << 4 | digits[1]))
    rest = rest.dropFirst(2)
  }
  return String(validating: bytes, as: UTF8.self)
}
