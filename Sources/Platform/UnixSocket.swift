import CLinux
import Glibc

/// Who is at the other end of a Unix socket. Source: unix(7), SO_PEERCRED.
public struct PeerCredentials: Sendable, Hashable {
  public var pid: Int32
  public var uid: UInt32
  public var gid: UInt32
}

/// Unix stream sockets: what listens, connects and accepts.
public enum UnixSocket {
  /// The longest path that fits sun_path with its closing zero, in bytes (unix(7)).
  public static let longestPath = 107

  /// A connected pair for a child's control conversation, both ends non-blocking.
  public static func pair() throws(SystemError) -> (ours: Descriptor, theirs: Descriptor) {
    var numbers: [Int32] = [-1, -1]
    try check("socketpair", "for a control socket") {
      socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0, &numbers)
    }
    return (Descriptor(owning: numbers[0]), Descriptor(owning: numbers[1]))
  }

  /// How many may wait to be accepted at a socket, unless the system allows fewer (listen(2), somaxconn).
  public static let longestBacklog: Int32 = 4096

  /// As other processes see this one as a peer.
  public static var ownPID: Int32 { getpid() }

  /// Listens at `path`, in place of what an earlier process has left there.
  ///
  /// - Parameter mode: of the socket's file; the directory it is in must be closed to others already.
  public static func listen(
    at path: String, mode: mode_t, backlog: Int32 = longestBacklog
  ) throws(SystemError) -> Descriptor {
    let socket = try open(path)
    var address = try address(path)
    if unlink(path) != 0, errno != ENOENT { throw SystemError("unlink", path) }
    try check("bind", path) { withAddress(&address) { bind(socket.number, $0, $1) } }
    try check("chmod", path) { chmod(path, mode) }
    try check("listen", path) { Glibc.listen(socket.number, backlog) }
    return socket
  }

  /// Connects to `path`. A listener whose backlog is full counts as a failure with EAGAIN.
  public static func connect(to path: String) throws(SystemError) -> Descriptor {
    let socket = try open(path)
    var address = try address(path)
    try check("connect", path) { withAddress(&address) { Glibc.connect(socket.number, $0, $1) } }
    return socket
  }

  /// The next connection of a non-blocking listening socket, non-blocking itself; nil when none waits.
  public static func accept(_ listening: Descriptor) throws(SystemError) -> Descriptor? {
    do throws(SystemError) {
      let number = try check("accept4", "descriptor \(listening.number)") {
        accept4(listening.number, nil, nil, flags)
      }
      return Descriptor(owning: number)
    } catch {
      // A client that has gone again while it waited is no failure of ours.
      if [EAGAIN, EWOULDBLOCK, ECONNABORTED].contains(error.code) { return nil }
      throw error
    }
  }

  /// Whether this is a stream socket that listens at `path`, and the path is still there (socket(7), SO_ACCEPTCONN).
  public static func isListening(_ socket: Descriptor, at path: String) -> Bool {
    var listens: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(socket.number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0, listens != 0 else {
      return false
    }
    var status = stat()
    return self.path(of: socket) == path && lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
  }

  public static func peer(of socket: Descriptor) throws(SystemError) -> PeerCredentials {
    var credentials = peer_credentials()
    var length = socklen_t(MemoryLayout<peer_credentials>.size)
    try check("getsockopt", "SO_PEERCRED of descriptor \(socket.number)") {
      getsockopt(socket.number, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
    }
    return PeerCredentials(pid: credentials.pid, uid: credentials.uid, gid: credentials.gid)
  }

  /// Whether a peer may speak for this service: root, our own user, or a member of our group, by its primary or a
  /// supplementary one (unix(7), SO_PEERCRED and SO_PEERGROUPS).
  public static func isAllowed(_ peer: PeerCredentials, of socket: Descriptor) throws(SystemError) -> Bool {
    if peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid() { return true }
    var groups = [gid_t](repeating: 0, count: 1024)
    var length = socklen_t(groups.count * MemoryLayout<gid_t>.size)
    try check("getsockopt", "SO_PEERGROUPS of descriptor \(socket.number)") {
      getsockopt(socket.number, SOL_SOCKET, Int32(PEER_GROUPS), &groups, &length)
    }
    return groups.prefix(Int(length) / MemoryLayout<gid_t>.size).contains(getegid())
  }

  /// How much has been sent to a socket and not been read from it yet, in bytes (unix(7), SIOCINQ).
  public static func unreadBytes(_ socket: Descriptor) throws(SystemError) -> Int {
    Int(try check("ioctl", "SIOCINQ of descriptor \(socket.number)") { unread_bytes(socket.number) })
  }

  /// Where a socket listens; nil when it has no name.
  public static func path(of socket: Descriptor) -> String? {
    var own = sockaddr_un()
    var length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let known = withUnsafeMutablePointer(to: &own) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket.number, $0, &length) == 0 }
    }
    guard known, own.sun_family == sa_family_t(AF_UNIX) else { return nil }
    let bound = withUnsafeBytes(of: &own.sun_path) { bytes in Array(bytes.prefix { $0 != 0 }) }
    return bound.isEmpty ? nil : String(decoding: bound, as: UTF8.self)
  }

  /// Sends what the socket takes of `bytes` now. Returns how many that were; 0 when it is full.
  static func send(_ socket: Descriptor, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
    do throws(SystemError) {
      return try check("send", "descriptor \(socket.number)") {
        Glibc.send(socket.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      }
    } catch {
      if error.code == EAGAIN || error.code == EWOULDBLOCK { return 0 }
      throw error
    }
  }

  private static var flags: Int32 { Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue) }

  private static func open(_ path: String) throws(SystemError) -> Descriptor {
    Descriptor(
      owning: try check("socket", "for \(path)") {
        socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
      })
  }

  private static func address(_ path: String) throws(SystemError) -> sockaddr_un {
    guard path.utf8.count <= longestPath else { throw SystemError("bind", path, code: ENAMETOOLONG) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return address
  }

  private static func withAddress<Result>(
    _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
