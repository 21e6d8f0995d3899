import CLinux
import Glibc
import Messages

/// Internet stream sockets. Addresses only: nothing is resolved.
public enum InternetSocket {
  /// Binds to an address of this machine, also while connections of an earlier process there come to their end
  /// (SO_REUSEADDR, socket(7)). Non-blocking; it does not listen yet.
  ///
  /// - Parameter host: an IPv4 address, or an IPv6 address without brackets.
  public static func bind(to host: String, port: Int) throws(SystemError) -> Descriptor {
    guard port > 0 else { throw SystemError("bind", subject(host, port), code: EINVAL) }
    return try withAddress(host, port, call: "bind") { (socket, address, length) throws(SystemError) in
      var on: Int32 = 1
      try check("setsockopt", "SO_REUSEADDR of \(subject(host, port))") {
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      }
      try check("bind", subject(host, port)) { Glibc.bind(socket, address, length) }
    }
  }

  /// Begins to connect to an address; the connection is there, or is not to be had, once the socket can be written
  /// (connect(2), EINPROGRESS).
  public static func connect(to host: String, port: Int) throws(SystemError) -> Descriptor {
    try withAddress(host, port, call: "connect") { (socket, address, length) throws(SystemError) in
      // What is sent is small and waited for.
      var on: Int32 = 1
      try check("setsockopt", "TCP_NODELAY of \(subject(host, port))") {
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
      }
      if Glibc.connect(socket, address, length) != 0, errno != EINPROGRESS {
        throw SystemError("connect", subject(host, port))
      }
    }
  }

  /// What has become of the bytes that were written to a connected socket (tcp(7), TCP_INFO and SIOCOUTQ).
  /// - Returns: how many the other side has acknowledged since the connection was made, and how many it has not.
  public static func sentBytes(_ socket: Int32) throws(SystemError) -> (acknowledged: UInt64, waiting: UInt64) {
    var sent = sent_bytes()
    try check("getsockopt", "TCP_INFO of descriptor \(socket)") { count_sent_bytes(socket, &sent) }
    return (sent.acknowledged, UInt64(max(0, sent.waiting)))
  }

  private static func subject(_ host: String, _ port: Int) -> String {
    "\(bracketed(host)):\(port)"
  }

  private static func withAddress(
    _ host: String, _ port: Int, call: String,
    _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> Void
  ) throws(SystemError) -> Descriptor {
    guard let number = in_port_t(exactly: port) else {
      throw SystemError(call, subject(host, port), code: EINVAL)
    }
    var storage = sockaddr_storage()
    let family = host.contains(":") ? AF_INET6 : AF_INET
    var length = socklen_t(0)
    let isAddress = withUnsafeMutableBytes(of: &storage) { bytes -> Bool in
      if family == AF_INET6 {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = number.bigEndian
        guard inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else { return false }
        bytes.storeBytes(of: address, as: sockaddr_in6.self)
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
      } else {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = number.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return false }
        bytes.storeBytes(of: address, as: sockaddr_in.self)
        length = socklen_t(MemoryLayout<sockaddr_in>.size)
      }
      return true
    }
    guard isAddress else { throw SystemError(call, subject(host, port), code: EINVAL) }
    let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let socket = Descriptor(
      owning: try check("socket", subject(host, port)) { Glibc.socket(family, flags, 0) })
    try withUnsafePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address -> Result<Void, SystemError> in
        do throws(SystemError) { return .success(try body(socket.number, address, length)) } catch {
          return .failure(error)
        }
      }
    }.get()
    return socket
  }
}
