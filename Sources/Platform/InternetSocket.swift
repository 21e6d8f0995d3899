import Glibc

/// Internet stream sockets.
public enum InternetSocket {
  /// Binds to an address of this machine, also while connections of an earlier process there come to their end
  /// (SO_REUSEADDR, socket(7)). Non-blocking; it does not listen yet.
  ///
  /// - Parameter host: an IPv4 address, or an IPv6 address without brackets; nothing is resolved.
  public static func bind(to host: String, port: Int) throws(SystemError) -> Descriptor {
    let subject = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    guard let port = in_port_t(exactly: port), port > 0 else { throw SystemError("bind", subject, code: EINVAL) }
    if host.contains(":") {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { throw SystemError("bind", subject, code: EINVAL) }
      return try bind(&address, AF_INET6, subject)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw SystemError("bind", subject, code: EINVAL) }
    return try bind(&address, AF_INET, subject)
  }

  private static func bind<Address>(
    _ address: inout Address, _ family: Int32, _ subject: String
  ) throws(SystemError) -> Descriptor {
    let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let socket = Descriptor(owning: try check("socket", subject) { Glibc.socket(family, flags, 0) })
    var on: Int32 = 1
    try check("setsockopt", "SO_REUSEADDR of \(subject)") {
      setsockopt(socket.number, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    try check("bind", subject) {
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.bind(socket.number, $0, socklen_t(MemoryLayout<Address>.size))
        }
      }
    }
    return socket
  }
}
