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

  private static let eventsAtOnce = 64

  private let epoll: Descriptor
  private let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: eventsAtOnce)

  public init() throws(SystemError) {
    epoll = Descriptor(owning: try check("epoll_create1", "") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
  }

  deinit { events.deallocate() }

  /// Begins to watch a descriptor, or changes what is watched for. Nothing at all means errors and hang-ups only.
  ///
  /// - Parameter isNew: whether it is known that nobody watches it yet.
  public func watch(
    _ descriptor: Descriptor, token: UInt64, read: Bool, write: Bool, isNew: Bool = false
  ) throws(SystemError) {
    var event = epoll_event()
    event.events = (read ? EPOLLIN.rawValue : 0) | (write ? EPOLLOUT.rawValue : 0)
    event.data.u64 = token
    let number = descriptor.number
    if !isNew, epoll_ctl(epoll.number, EPOLL_CTL_MOD, number, &event) == 0 { return }
    try check("epoll_ctl", "descriptor \(number)") {
      epoll_ctl(epoll.number, EPOLL_CTL_ADD, number, &event)
    }
  }

  /// Watches a descriptor no longer, not even for its end.
  public func unwatch(_ descriptor: Descriptor) {
    // It fails only for a descriptor that is not watched.
    _ = epoll_ctl(epoll.number, EPOLL_CTL_DEL, descriptor.number, nil)
  }

  /// Waits until something is ready. What it hands out is good until it waits again.
  /// - Parameter timeout: in milliseconds; nil waits for ever.
  public func wait(timeout: Int32?) throws(SystemError) -> ReadyList {
    let count = epoll_wait(epoll.number, events, Int32(Self.eventsAtOnce), timeout ?? -1)
    guard count < 0 else { return ReadyList(events: events, count: Int(count)) }
    guard errno == EINTR else { throw SystemError("epoll_wait", "") }
    return ReadyList(events: events, count: 0)
  }

  /// What is ready. No array, whose making would be a good part of a short wait's cost.
  public struct ReadyList: Sequence, IteratorProtocol {
    fileprivate let events: UnsafePointer<epoll_event>
    public let count: Int
    private var position = 0

    fileprivate init(events: UnsafePointer<epoll_event>, count: Int) { (self.events, self.count) = (events, count) }

    public var isEmpty: Bool { count == 0 }
    public var first: Ready? { first { _ in true } }

    public mutating func next() -> Ready? {
      guard position < count else { return nil }
      defer { position += 1 }
      let bits = events[position].events
      return Ready(
        token: events[position].data.u64, readable: bits & EPOLLIN.rawValue != 0,
        writable: bits & EPOLLOUT.rawValue != 0,
        hungUp: bits & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0)
    }
  }
}
