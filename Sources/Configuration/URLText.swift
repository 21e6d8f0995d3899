import Glibc

/// The parts of `scheme://[userinfo@]host[:port][rest]` (RFC 3986, section 3), for the few URLs a
/// configuration holds. Host names are taken as ASCII; no part is decoded.
struct URLText {
  /// The longest URL accepted, in bytes.
  static let longest = 2048

  /// In lower case.
  var scheme: String
  /// Between the scheme and the last @ before the host; nil without one.
  var userinfo: String?
  var address: HostPort
  /// From the first / or ? after the host; empty without one.
  var rest: String

  /// Errors end a sentence that begins with the name of the setting.
  init(_ text: String) throws(InvalidText) {
    guard text.utf8.count <= Self.longest else {
      throw InvalidText("must not be longer than \(Self.longest) bytes")
    }
    guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw InvalidText(
        "must not contain spaces, control characters or characters beyond ASCII: "
          + "percent-encode them (in a host name use its xn-- form)")
    }
    guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
      throw InvalidText("must be a URL with a scheme and a host, as in scheme://host")
    }
    scheme = text[..<colon].lowercased()
    let afterScheme = text[colon...].dropFirst(3)
    let end = afterScheme.firstIndex(where: { "/?#".contains($0) }) ?? afterScheme.endIndex
    rest = String(afterScheme[end...])
    guard !rest.contains("#") else {
      throw InvalidText("must not have a fragment: remove # and what follows")
    }
    var authority = afterScheme[..<end]
    if let at = authority.lastIndex(of: "@") {
      userinfo = String(authority[..<at])
      authority = authority[authority.index(after: at)...]
    }
    address = try HostPort(authority)
  }
}

/// `host` or `host:port`, an IPv6 address in brackets.
struct HostPort {
  /// A name, an IPv4 address or an IPv6 address without its brackets, in lower case.
  var host: String
  var port: Int?
  var kind: Kind

  enum Kind {
    case name, ipv4, ipv6
  }

  init(_ text: some StringProtocol) throws(InvalidText) {
    var portText: String?
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else {
        throw InvalidText("has an IPv6 address without its closing bracket: write [ADDRESS]:PORT")
      }
      host = text[text.index(after: text.startIndex)..<close].lowercased()
      let after = text[text.index(after: close)...]
      guard after.isEmpty || after.hasPrefix(":") else {
        throw InvalidText(
          "has something other than a port after the IPv6 address: write [ADDRESS]:PORT")
      }
      if !after.isEmpty { portText = String(after.dropFirst()) }
      kind = .ipv6
    } else {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count <= 2 else {
        throw InvalidText(
          "has more than one colon after its host: put an IPv6 address in brackets, "
            + "and percent-encode / ? # in a user name or password")
      }
      host = parts[0].lowercased()
      if parts.count == 2 { portText = String(parts[1]) }
      // A name that ends in a number would be taken for an address by every resolver.
      let endsInNumber =
        host.split(separator: ".").last.map { $0.utf8.allSatisfy(isASCIIDigit) } ?? false
      kind = endsInNumber ? .ipv4 : .name
    }
    port = try portText.map { (text) throws(InvalidText) in try Self.port(text) }
    try checkHost()
  }

  private static func port(_ text: String) throws(InvalidText) -> Int {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(isASCIIDigit),
      let port = Int(text),
      (1...65535).contains(port)
    else {
      throw InvalidText("must have a port from 1 to 65535 after the colon that follows its host")
    }
    return port
  }

  private func checkHost() throws(InvalidText) {
    guard !host.isEmpty else { throw InvalidText("must name a host") }
    switch kind {
    case .ipv6:
      guard addressBytes(AF_INET6) != nil else {
        throw InvalidText("has brackets around what is no IPv6 address")
      }
    case .ipv4:
      guard addressBytes(AF_INET) != nil else {
        throw InvalidText("has a host that ends in a number and is no IPv4 address")
      }
    case .name:
      let labels = host.split(separator: ".", omittingEmptySubsequences: false)
      let isName =
        host.utf8.count <= 253
        && labels.allSatisfy {
          (1...63).contains($0.utf8.count) && $0.utf8.allSatisfy(isBareKeyByte)
        }
      guard isName else {
        throw InvalidText(
          "has a host that is no name: letters, digits and -, in parts of 1 to 63 between dots")
      }
    }
  }

  /// Whether the host is this machine itself, by name (RFC 6761, section 6.3) or by address.
  var isLoopback: Bool {
    switch kind {
    case .name: host == "localhost"
    case .ipv4: addressBytes(AF_INET)?.first == 127
    case .ipv6: addressBytes(AF_INET6) == Array(repeating: 0, count: 15) + [1]
    }
  }

  private func addressBytes(_ family: Int32) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: family == AF_INET6 ? 16 : 4)
    return inet_pton(family, host, &bytes) == 1 ? bytes : nil
  }
}
