import NIOSSL

/// Whether a certificate is for the host that was meant.
///
/// NIOSSL looks too, but takes a certificate for the address it is connected to as well, whatever the name: the proxy's
/// address, or the one that a forged answer of the DNS gave.
enum ServerName {
  /// Whether one of the certificate's names is `host`, a name in lower case. Source: RFC 9525, sections 6.3 and 6.4.
  static func isProven(_ host: String, by certificate: NIOSSLCertificate) -> Bool {
    certificate._subjectAlternativeNames().contains { name in
      name.nameType == .dnsName
        && matches(String(decoding: name.contents, as: UTF8.self).lowercased(), host)
    }
  }

  /// An asterisk stands for the whole first label and nothing else.
  private static func matches(_ pattern: String, _ host: String) -> Bool {
    guard pattern.hasPrefix("*.") else { return pattern == host }
    let parent = pattern.dropFirst(2)
    guard parent.contains("."), let dot = host.firstIndex(of: ".") else { return false }
    return host[host.index(after: dot)...] == parent
  }
}
