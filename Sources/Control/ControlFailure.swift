import Glibc
import Platform
import WorkerClient

/// Why hordelinkctl did not do what it was asked to, for a person and, as the exit code, for a script.
struct ControlFailure: Error, Equatable {
  /// The exit codes. Source: sysexits.h, for all but the first.
  enum Kind: Int32 {
    /// The service has refused what was sent.
    case refused = 1
    /// EX_USAGE: asked for in a way that cannot be.
    case usage = 64
    /// EX_UNAVAILABLE: nobody listens.
    case notRunning = 69
    /// EX_SOFTWARE: what answers is not the service, or another release of it.
    case notUnderstood = 70
    /// EX_IOERR: a file cannot be read or written.
    case file = 74
    /// EX_TEMPFAIL: somebody listens and does not answer.
    case noAnswer = 75
    /// EX_NOPERM: this user may not ask.
    case noPermission = 77
    /// EX_CONFIG: the configuration cannot be used.
    case configuration = 78
  }

  var kind: Kind
  /// What happened, to what, and what to do about it.
  var message: String

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The codes as `--help` explains them.
  static let help = """
    Exit codes: 0 done; 1 the service has refused what was asked; 64 wrong usage; 69 the service does not run, or the \
    job is not open; 70 what answers is another release or another program; 74 a file cannot be read or \
    written; 75 no answer in time; 77 no permission; 78 the configuration is wrong.
    """
}

/// A socket of the service's, by what it means when nobody listens on it.
enum ServiceSocket {
  /// The Supervisor's control socket.
  case control
  /// A job's own.
  case worker

  fileprivate var whatToDoWhenMissing: String {
    switch self {
    case .control:
      "the service does not run, or in another runtime directory: start it (systemctl start hordelink), "
        + "or name that directory with --runtime-directory"
    case .worker:
      "the job is not open, or the service does not run: see hordelinkctl jobs"
    }
  }
}

extension ControlFailure {
  /// A socket that could not be connected to.
  init(connecting error: SystemError, to path: String, _ socket: ServiceSocket) {
    switch error.code {
    case ENOENT, ENOTDIR:
      self.init(.notRunning, "\(path): there is no such socket: \(socket.whatToDoWhenMissing)")
    case ECONNREFUSED:
      self.init(
        .notRunning,
        "\(path): nobody listens on it: the service was ended without notice; start it (systemctl start hordelink)")
    case EACCES, EPERM:
      self.init(
        .noPermission, "\(path): permission denied: run hordelinkctl as root or as the user the service runs as")
    case EAGAIN:
      self.init(.noAnswer, "\(path): too many others wait to be served: try again")
    case ENAMETOOLONG:
      self.init(.usage, "\(path): longer than a socket's path can be, \(UnixSocket.longestPath) bytes")
    default: self.init(.notRunning, "\(error): \(socket.whatToDoWhenMissing)")
    }
  }

  /// A status that a job's socket gave no answer to.
  init(_ failure: WorkerClient.Failure, at path: String) {
    switch failure {
    case .unreachable(let error): self.init(connecting: error, to: path, .worker)
    case .noAnswer(_, _, _, let lastLoss):
      if let lastLoss, [ENOENT, ECONNREFUSED].contains(lastLoss.code) {
        self.init(connecting: lastLoss, to: path, .worker)
      } else {
        self.init(.noAnswer, failure.description)
      }
    case .notTheProtocol: self.init(.notUnderstood, failure.description)
    case .tooLarge: self.init(.usage, failure.description)
    }
  }
}
