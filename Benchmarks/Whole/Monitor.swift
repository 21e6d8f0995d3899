import Glibc
import Messages
import Platform
import WorkerClient

/// A mutex with its condition: what several threads look at, and a wait until it has changed.
///
/// `@unchecked Sendable`: it is there to be shared, and holds nothing but the two.
final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Wakes who waits. To be called within `locked`.
  func changed() { pthread_cond_broadcast(condition) }

  /// Waits until it is so, looking each time that something has changed; false when the time is over.
  func wait(milliseconds: Int, until isSo: () throws -> Bool) rethrows -> Bool {
    let end = Clock.wallMilliseconds + Int64(milliseconds)
    var deadline = timespec(tv_sec: Int(end / 1000), tv_nsec: Int(end % 1000) * 1_000_000)
    return try locked {
      while try !isSo() {
        if pthread_cond_timedwait(condition, mutex, &deadline) != 0 { return try isSo() }
      }
      return true
    }
  }
}
