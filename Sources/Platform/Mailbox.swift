import Glibc

/// Hands elements from one thread to another, all that wait at once.
///
/// `@unchecked Sendable`: every access to what is stored happens under the mutex. Inlinable, since what a generic class
/// of another module does with its elements costs several times as much.
public final class Mailbox<Element: Sendable>: @unchecked Sendable {
  @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  @usableFromInline let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  @usableFromInline var waiting: [Element] = []
  @usableFromInline var refused = 0
  @usableFromInline var closed = false
  @usableFromInline var taken = false
  @usableFromInline let capacity: Int

  /// - Parameter capacity: how many elements may wait; more are refused and counted.
  public init(capacity: Int = .max) {
    self.capacity = capacity
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Puts one element in, without waiting. Returns false, and counts it, when there is no room.
  @inlinable
  @discardableResult
  public func put(_ element: Element) -> Bool { put(contentsOf: CollectionOfOne(element)) == 1 }

  /// Puts elements in, as many as there is room for, without waiting. Returns how many, and counts the others.
  @inlinable
  @discardableResult
  public func put(contentsOf elements: some Collection<Element>) -> Int {
    locked {
      let count = closed ? 0 : min(elements.count, capacity - waiting.count)
      refused += elements.count - count
      guard count > 0 else { return 0 }
      // Nobody waits for more while there is something.
      if waiting.isEmpty { pthread_cond_broadcast(changed) }
      waiting.append(contentsOf: elements.prefix(count))
      return count
    }
  }

  /// Waits for elements and takes all there are, in order, with the number refused since the last time.
  /// nil once the mailbox is closed and empty. For one reading thread.
  @inlinable
  public func takeAll() -> (elements: [Element], refused: Int)? {
    locked {
      taken = false
      pthread_cond_broadcast(changed)
      while waiting.isEmpty, !closed { pthread_cond_wait(changed, mutex) }
      guard !waiting.isEmpty else { return nil }
      defer {
        waiting = []
        refused = 0
      }
      taken = true
      return (waiting, refused)
    }
  }

  /// Nothing more is put in; what waits can still be taken.
  public func close() {
    locked {
      closed = true
      pthread_cond_broadcast(changed)
    }
  }

  /// Waits until the reading thread has taken everything and asked for more, or the time is over.
  /// - Parameter milliseconds: how long at most.
  public func waitUntilIdle(milliseconds: Int) {
    var deadline = timespec()
    clock_gettime(CLOCK_REALTIME, &deadline)
    let nanoseconds = deadline.tv_nsec + milliseconds % 1000 * 1_000_000
    deadline.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    deadline.tv_nsec = nanoseconds % 1_000_000_000
    locked {
      while !waiting.isEmpty || taken {
        if pthread_cond_timedwait(changed, mutex, &deadline) != 0 { return }
      }
    }
  }

  @inlinable
  func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body()
  }
}

/// A thread of its own for work that may block.
public enum BackgroundThread {
  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  /// Starts a detached thread. Signals stay with the threads that ask for them.
  public static func start(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
    var thread = pthread_t()
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let box = Unmanaged.passRetained(Box(body))
    let code = pthread_create(
      &thread, nil,
      { raw in
        guard let raw else { return nil }
        Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    guard code == 0 else {
      box.release()
      throw SystemError("pthread_create", "", code: code)
    }
    pthread_detach(thread)
  }
}
