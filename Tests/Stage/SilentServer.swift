import Glibc
import Platform
import Synchronization

/// A TCP socket that listens at 127.0.0.1. What connects to it waits: nobody accepts it unless told to.
package final class SilentServer: Sendable {
  /// Connections that wait to be accepted at once, but for one more.
  package static let backlog = 16

  package let port: Int
  private let socket: Mutex<Descriptor?>

  /// - Parameter receiveBuffer: how much the kernel takes of what a client sends before it is read, in bytes; nil leaves
  ///   that to the kernel (tcp(7), SO_RCVBUF).
  package init(receiveBuffer: Int32? = nil) throws {
    let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = Descriptor(owning: Glibc.socket(AF_INET, flags, 0))
    if var size = receiveBuffer {
      setsockopt(socket.number, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = INADDR_LOOPBACK.bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(socket.number, address, length) == 0 && listen(socket.number, Int32(Self.backlog)) == 0
          && getsockname(socket.number, address, &length) == 0
      }
    }
    guard result else { throw SystemError("listen", "127.0.0.1") }
    port = Int(UInt16(bigEndian: address.sin_port))
    self.socket = Mutex(socket)
  }

  /// Accepts the next connection; nil when the server is closed.
  package func accept() -> Descriptor? {
    guard let socket = socket.withLock({ $0 }) else { return nil }
    let number = Glibc.accept(socket.number, nil, nil)
    guard number >= 0 else { return nil }
    let accepted = Descriptor(owning: number)
    try? accepted.setCloseOnExec()
    return accepted
  }

  /// Ends what waits, and frees the port.
  package func close() {
    socket.withLock { socket in
      // Wakes up whoever accepts.
      if let socket { shutdown(socket.number, Int32(SHUT_RDWR)) }
      socket = nil
    }
  }
}
