import CLinux
import Glibc

/// Waits on many descriptors at once (epoll(7), level-triggered).
public final class Poller {
  public struct Ready: Sendable {
    public var token: UInt64
    public var readable: Bool
    public var writable: Bool
    /// The peer has closed both directions, or the socket is broken. Told whatever is watched for.
    public var hungUp: Bool
  }

  private let epoll: Descriptor

  public init() throws(SystemError) {
    epoll = Descriptor(owning: try check("epoll_create1", "") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
  }

  /// Begins to watch a descriptor, or changes what is watched for. Nothing at all means errors and hang-ups only.
  public func watch(_ descriptor: Descriptor, token: UInt64, read: Bool, write: Bool) throws(SystemError) {
    var event = epoll_event()
    event.events = (read ? EPOLLIN.rawValue : 0) | (write ? EPOLLOUT.rawValue : 0)
    event.data.u64 = token
    let number = descriptor.number
    if epoll_ctl(epoll.number, EPOLL_CTL_MOD, number, &event) == 0 { return }
    try check("epoll_ctl", "descriptor \(number)") {
      epoll_ctl(epoll.number, EPOLL_CTL_ADD, number, &event)
    }
  }

  /// Watches a descriptor no longer, not even for its end.
  public func unwatch(_ descriptor: Descriptor) {
    // It fails only for a descriptor that is not watched.
    _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor.number, nil)
  }

  /// Waits until something is ready.
  /// - Parameter timeout: in milliseconds; nil waits for ever.
  public func wait(timeout: Int32?) throws(SystemError) -> [Ready] {
    let none = epoll_event()
    var events = [epoll_event](repeating: none, count: 64)
    let count = epoll_wait(epoll.number, &events, 64, timeout ?? -1)
    if count < 0 {
      if errno == EINTR { return [] }
      throw SystemError("epoll_wait", "")
    }
    return events.prefix(Int(count)).map { event in
      let bits = event.events
      return Ready(
        token: event.data.u64, readable: bits & EPOLLIN.rawValue != 0,
        writable: bits & EPOLLOUT.rawValue != 0,
        hungUp: bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0)
    }
  }
}
