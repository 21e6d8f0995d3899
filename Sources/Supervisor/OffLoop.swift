import Glibc
import Platform
import Synchronization

/// Work that may wait for others, as a user database in the network does: on a thread of its own, with a bound.
final class OffLoop<Value: Sendable> {
  /// Hands the value from the thread to the loop.
  private final class Place: Sendable {
    let value = Mutex<Value?>(nil)
  }

  private let place = Place()
  /// Whose other end the thread has.
  private let pipe: Descriptor
  private var source: EventLoop.Source?
  private var timer: EventLoop.Source?
  private var then: ((Value?) -> Void)?
  /// The thread has not come back.
  private(set) var isRunning = true

  /// - Parameters:
  ///   - seconds: how long `then` waits at most.
  ///   - work: done on the thread.
  ///   - then: called once, on the loop, with what came of it; nil when the time was over. Whatever comes later is dropped.
  init(
    loop: EventLoop, seconds: Int64, work: @escaping @Sendable () -> Value, then: @escaping (Value?) -> Void
  ) throws(SystemError) {
    self.then = then
    let (reading, writing) = try Files.pipe()
    pipe = reading
    source = try loop.add(reading) { [weak self] in self?.isDone() }
    timer = try loop.addTimer { [weak self] in self?.tell(nil) }
    timer?.fire(atNanoseconds: Clock.bootNanoseconds + seconds * 1_000_000_000)
    let place = place
    try BackgroundThread.start {
      let value = work()
      place.value.withLock { $0 = value }
      // The loop sees the end of the pipe.
      withExtendedLifetime(writing) {}
    }
  }

  private func isDone() {
    isRunning = false
    source = nil
    tell(place.value.withLock { $0 })
  }

  private func tell(_ value: Value?) {
    timer = nil
    let then = then
    self.then = nil
    then?(value)
  }
}
