import Messages

/// Whose channel a Listener hears.
public enum Channel: Sendable, Hashable {
  case job(JobID)
  /// Machine specs: one permanent Listener.
  case specs

  /// The job whose it is, if it is one's.
  public var job: JobID? {
    guard case .job(let job) = self else { return nil }
    return job
  }

  /// What a Listener's token names it by.
  public var tokenName: String { job?.description ?? "specs" }
}

/// A child of the Supervisor that is one of our own programs.
public enum ChildKey: Sendable, Hashable {
  case uplink
  case listener(Channel)

  /// Its name in the journal (CHILD=) and in `status`.
  public var name: String {
    switch self {
    case .uplink: "uplink"
    case .listener(.job): "listener"
    case .listener(.specs): "specs-listener"
    }
  }

  /// The job it serves, if it serves one.
  public var job: JobID? {
    guard case .listener(let channel) = self else { return nil }
    return channel.job
  }

  /// What its death means.
  var policy: RestartPolicy {
    switch self {
    case .uplink, .listener(.specs): .permanent
    case .listener(.job): .transient
    }
  }
}

/// How a process ended.
public enum ProcessExit: Sendable, Hashable, CustomStringConvertible {
  case code(Int32)
  case signal(Int32)

  public var description: String {
    switch self {
    case .code(let code): "exited with code \(code)"
    case .signal(let signal): "was ended by signal \(signal)"
    }
  }
}
