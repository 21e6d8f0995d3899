import Glibc

/// How many descriptors this process may have open (getrlimit(2), RLIMIT_NOFILE).
public enum DescriptorLimit {
  /// As many as select(2) can tell apart (FD_SETSIZE): a program that uses it fails with a higher soft limit.
  public static let ofSelect: UInt64 = 1024

  /// Raises the soft limit to the hard one.
  /// - Returns: what it was.
  public static func raise() throws(SystemError) -> UInt64 { try set(soft: .max) }

  /// Sets the soft limit, which the hard one bounds.
  /// - Returns: what it was.
  @discardableResult
  static func set(soft: UInt64) throws(SystemError) -> UInt64 {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    try check("getrlimit", "RLIMIT_NOFILE") { getrlimit(resource, &limit) }
    let before = UInt64(limit.rlim_cur)
    limit.rlim_cur = min(rlim_t(soft), limit.rlim_max)
    try check("setrlimit", "RLIMIT_NOFILE") { setrlimit(resource, &limit) }
    return before
  }
}
