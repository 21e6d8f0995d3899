import CSystemd
import Glibc
import Platform

/// libsystemd's event loop (sd-event(3)): one thread, level-triggered, with child sources over pidfd.
///
/// Sources live as long as the object that `add…` returns. Handlers run on the thread that calls `run`.
final class EventLoop {
  /// One thing that is waited for.
  final class Source {
    fileprivate let invoke: (UnsafePointer<siginfo_t>?) -> Void
    fileprivate var pointer: OpaquePointer?

    fileprivate init(_ invoke: @escaping (UnsafePointer<siginfo_t>?) -> Void) { self.invoke = invoke }

    deinit { sd_event_source_disable_unref(pointer) }

    /// Changes what an input source waits for.
    func waitFor(read: Bool, write: Bool) {
      sd_event_source_set_io_events(pointer, EventLoop.events(read: read, write: write))
    }

    /// Sets when a timer source fires, once, in nanoseconds on the boot clock; nil: never.
    func fire(atNanoseconds time: Int64?) {
      if let time { sd_event_source_set_time(pointer, UInt64(max(0, time)) / 1000) }
      sd_event_source_set_enabled(pointer, Int32(time == nil ? SD_EVENT_OFF : SD_EVENT_ONESHOT))
    }

    fileprivate static func run(_ raw: UnsafeMutableRawPointer?, _ info: UnsafePointer<siginfo_t>?) -> Int32 {
      guard let raw else { return 0 }
      // The handler may drop the last reference to its own source.
      let source = Unmanaged<Source>.fromOpaque(raw).takeUnretainedValue()
      withExtendedLifetime(source) { source.invoke(info) }
      return 0
    }

    fileprivate var raw: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }
  }

  private let loop: OpaquePointer

  init() throws(SystemError) {
    var loop: OpaquePointer?
    try Self.check("sd_event_new", sd_event_new(&loop))
    guard let loop else { throw SystemError("sd_event_new", "", code: ENOMEM) }
    self.loop = loop
    // Pets systemd's watchdog from this loop, if the unit asks for it.
    try Self.check("sd_event_set_watchdog", sd_event_set_watchdog(loop, 1))
  }

  deinit { sd_event_unref(loop) }

  func add(
    _ descriptor: Descriptor, read: Bool = true, write: Bool = false, _ handler: @escaping () -> Void
  ) throws(SystemError) -> Source {
    let source = Source { _ in handler() }
    try Self.check(
      "sd_event_add_io",
      sd_event_add_io(
        loop, &source.pointer, descriptor.number, Self.events(read: read, write: write),
        { _, _, _, raw in Source.run(raw, nil) }, source.raw))
    return source
  }

  /// Calls `handler` once with how a child ended. The child is reaped after the handler has returned.
  func add(child pid: pid_t, _ handler: @escaping (_ code: Int32?, _ signal: Int32?) -> Void)
    throws(SystemError) -> Source
  {
    weak var made: Source?
    let source = Source { info in
      guard let info else { return }
      sd_event_source_set_enabled(made?.pointer, Int32(SD_EVENT_OFF))
      let status = info.pointee._sifields._sigchld.si_status
      let exited = info.pointee.si_code == Int32(CLD_EXITED)
      handler(exited ? status : nil, exited ? nil : status)
    }
    try Self.check(
      "sd_event_add_child",
      sd_event_add_child(
        loop, &source.pointer, pid, Int32(WEXITED), { _, info, raw in Source.run(raw, info) }, source.raw))
    made = source
    // By itself it would look once: the end of a child that strace or a debugger holds is announced before it can be
    // waited for (ptrace(2)), and would never be seen. What is off is watched anew when it is turned on.
    for mode in [SD_EVENT_OFF, SD_EVENT_ON] { sd_event_source_set_enabled(source.pointer, Int32(mode)) }
    return source
  }

  /// Calls `handler` for a signal, which must be blocked in every thread.
  func add(signal: Int32, _ handler: @escaping () -> Void) throws(SystemError) -> Source {
    let source = Source { _ in handler() }
    try Self.check(
      "sd_event_add_signal",
      sd_event_add_signal(
        loop, &source.pointer, signal, { _, _, raw in Source.run(raw, nil) }, source.raw))
    return source
  }

  /// A timer on the boot clock, exact to a millisecond, that does not fire until it is told when.
  func addTimer(_ handler: @escaping () -> Void) throws(SystemError) -> Source {
    let source = Source { _ in handler() }
    try Self.check(
      "sd_event_add_time",
      sd_event_add_time(
        loop, &source.pointer, CLOCK_BOOTTIME, 0, 1000, { _, _, raw in Source.run(raw, nil) }, source.raw))
    source.fire(atNanoseconds: nil)
    return source
  }

  /// Runs until `exit`. Returns the code that was given to it.
  func run() throws(SystemError) -> Int32 {
    try Self.check("sd_event_loop", sd_event_loop(loop))
  }

  func exit(_ code: Int32) { sd_event_exit(loop, code) }

  fileprivate static func events(read: Bool, write: Bool) -> UInt32 {
    (read ? readable : 0) | (write ? writable : 0)
  }

  /// libsystemd returns errors as negative numbers.
  @discardableResult
  private static func check(_ call: String, _ result: Int32) throws(SystemError) -> Int32 {
    guard result >= 0 else { throw SystemError(call, "", code: -result) }
    return result
  }

  // epoll_ctl(2); the macros are enumerators of a type that Swift does not import alike everywhere.
  private static let readable: UInt32 = 0x001
  private static let writable: UInt32 = 0x004
}
