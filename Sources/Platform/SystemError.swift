import Glibc

/// A system call that failed: which, on what, and why.
public struct SystemError: Error, Hashable, CustomStringConvertible {
  /// The system call's name.
  public var call: String
  /// What it was about: a path, a descriptor, a process.
  public var subject: String
  /// errno.
  public var code: Int32

  public init(_ call: String, _ subject: String, code: Int32 = errno) {
    self.call = call
    self.subject = subject
    self.code = code
  }

  /// Whether the process or the system has run out of descriptors or of memory for the moment. Source: accept(2).
  public var isExhaustion: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) }

  /// What errno says, in words.
  public var reason: String { String(cString: strerror(code)) }

  public var description: String { subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)" }
}

/// The result of a call that returns -1 on failure; interrupted calls are made again.
@discardableResult
func check<Number: SignedInteger>(
  _ call: String, _ subject: @autoclosure () -> String, _ body: () -> Number
) throws(SystemError) -> Number {
  while true {
    let result = body()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw SystemError(call, subject(), code: code) }
  }
}
