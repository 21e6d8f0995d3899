import Glibc

/// A non-blocking stream socket to a server that we connect to, bytes in and bytes out. Confined to the loop of its
/// process.
public final class ByteConnection {
  public let socket: Descriptor
  private var outgoing = OutgoingBytes()

  /// Takes a socket whose connection is under way: it is there once the socket can be written.
  public init(_ socket: Descriptor) { self.socket = socket }

  /// Why the connection has not come about; nil when it has (connect(2), SO_ERROR).
  public var failure: SystemError? {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
      return SystemError("getsockopt", "SO_ERROR")
    }
    return code == 0 ? nil : SystemError("connect", "", code: code)
  }

  public var wantsToWrite: Bool { outgoing.waiting > 0 }

  /// Bytes that the server has not taken yet.
  public var unsentBytes: Int { outgoing.waiting }

  /// Sends what the socket takes now; `flush` sends the rest.
  public func send(_ bytes: [UInt8]) throws(SystemError) {
    outgoing.append(bytes)
    try flush()
  }

  public func flush() throws(SystemError) { try outgoing.flush(to: socket) }

  /// Reads once: empty at the end, nil when nothing is there.
  public func read() throws(SystemError) -> [UInt8]? { try socket.read(upTo: 65_536) }
}
