import Glibc

/// An open file descriptor, closed with the last reference to it. Every one made here is close-on-exec.
public final class Descriptor: Sendable {
  public let number: Int32

  /// Takes ownership of `number`.
  public init(owning number: Int32) { self.number = number }

  deinit { close(number) }

  /// Sets or clears O_NONBLOCK.
  public func setNonBlocking(_ on: Bool = true) throws(SystemError) {
    let flags = try check("fcntl", "descriptor \(number)") { fcntl(number, F_GETFL) }
    let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
    try check("fcntl", "descriptor \(number)") { fcntl(number, F_SETFL, wanted) }
  }

  /// Marks an inherited descriptor so that it is not inherited further.
  public func setCloseOnExec() throws(SystemError) {
    try check("fcntl", "descriptor \(number)") { fcntl(number, F_SETFD, FD_CLOEXEC) }
  }

  /// Another descriptor for the same open file, for an owner who closes it itself.
  public func duplicate() throws(SystemError) -> Int32 {
    try check("fcntl", "descriptor \(number)") { fcntl(number, F_DUPFD_CLOEXEC, Int32(0)) }
  }

  /// Another descriptor for the same open file, numbered 64 or higher so that it collides with none that a
  /// spawned child is to find at a fixed number.
  func duplicatedHigh() throws(SystemError) -> Descriptor {
    Descriptor(
      owning: try check("fcntl", "descriptor \(number)") { fcntl(number, F_DUPFD_CLOEXEC, Int32(64)) })
  }

  /// Reads up to `count` bytes. An empty result is end of file; nil means that nothing is there yet.
  public func read(upTo count: Int) throws(SystemError) -> [UInt8]? {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, length in
      do throws(SystemError) {
        length = try check("read", "descriptor \(number)") { Glibc.read(number, buffer.baseAddress, count) }
      } catch {
        length = 0
        failure = error
      }
    }
    guard let failure else { return bytes }
    if failure.code == EAGAIN || failure.code == EWOULDBLOCK { return nil }
    throw failure
  }
}
