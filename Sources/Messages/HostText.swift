/// A host as it stands before a port or a path: an IPv6 address in brackets (RFC 3986, section 3.2.2).
///
/// - Parameter host: a name, an IPv4 address, or an IPv6 address without brackets.
public func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }
