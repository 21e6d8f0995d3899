import Glibc

/// A named step at which a process can be made to die as by `kill -9`, in debug builds; release builds hold nothing of
/// it.
///
/// HORDELINK_FAILPOINTS names a directory. Whoever wants the next process that comes to a step to die there makes an
/// empty file of the step's name in it, at any time: the process removes the file and kills itself, so that it dies
/// once for each file.
public enum Failpoint {
  /// Dies here if that was asked for.
  ///
  /// - Parameters:
  ///   - name: of the step: the process, a full stop, and what has just happened or is about to.
  ///   - condition: whether this is that step.
  ///   - last: what is still done before the death.
  @inlinable
  public static func reach(
    _ name: StaticString, when condition: @autoclosure () -> Bool = true, last: () -> Void = {}
  ) {
    #if DEBUG
      guard isAsked, condition(), take(name) else { return }
      last()
      die()
    #endif
  }

  #if DEBUG
    /// The environment variable that names the directory.
    public static let variable = "HORDELINK_FAILPOINTS"

    /// Whether there is a file of that name, which stays: a fault that a test asks for, to see that it finds it.
    public static func isSet(_ name: StaticString) -> Bool {
      guard let directory else { return false }
      return access("\(directory)/\(name)", F_OK) == 0
    }

    @usableFromInline static let directory = getenv(variable).map { String(cString: $0) }
    @usableFromInline static var isAsked: Bool { directory != nil }

    /// Only one of several processes removes the file.
    @usableFromInline
    static func take(_ name: StaticString) -> Bool {
      guard let directory else { return false }
      return unlink("\(directory)/\(name)") == 0
    }

    @usableFromInline
    static func die() {
      kill(getpid(), SIGKILL)
      // A signal to oneself is delivered before kill(2) returns; nothing must follow all the same.
      while true { pause() }
    }
  #endif
}
