import MessagePack
import Messages
import Platform

extension WorkerClient {
  /// A status as a worker reports it.
  public struct Update: Sendable, Hashable {
    /// The status by its name on the wire. A name the service does not know counts as `unknown` there.
    public var status: String
    /// What is said about it, a map; nil for nothing. Source: PROTOCOL.md, Values.
    public var metadata: MessagePackValue?

    /// A report of that status.
    public init(_ status: JobStatus, metadata: MessagePackValue? = nil) {
      self.init(statusName: status.name, metadata: metadata)
    }

    /// A report of a status that may be none of ours.
    public init(statusName: String, metadata: MessagePackValue? = nil) {
      status = statusName
      self.metadata = metadata
    }
  }

  /// What the service said to an update.
  public enum Answer: Sendable, Hashable {
    /// It is durable: the facilitator will get it, whatever dies in between.
    case stored
    /// It is not stored, and never will be as it is.
    case refused(Refusal)
  }

  /// Why the service does not store an update.
  public struct Refusal: Sendable, Hashable, CustomStringConvertible {
    /// `WorkerErrorCode` by its name, or a later release's code.
    public var code: String
    /// What is wrong, in words.
    public var message: String

    public var description: String { "\(code): \(message)" }
  }

  /// Why there is no answer to give.
  public enum Failure: Error, Hashable, CustomStringConvertible {
    /// The socket cannot be connected to, and no second attempt would change that.
    case unreachable(SystemError)
    /// No answer came for that long. `lastLoss` is why there was no connection in the end; nil when there was one.
    case noAnswer(socket: String, unanswered: Int, milliseconds: Int, lastLoss: SystemError?)
    /// What answers on that socket says something else than the worker's protocol has.
    case notTheProtocol(socket: String, String)
    /// An update is longer than any service accepts. Nothing was sent.
    case tooLarge(bytes: Int, limit: Int)

    public var description: String {
      switch self {
      case .unreachable(let error):
        "\(error): this user cannot reach the job's socket; run as the service's user or in its group"
      case .noAnswer(let socket, let unanswered, let milliseconds, let lastLoss):
        "\(socket): \(unanswered) updates are not acknowledged, without one answer in \(milliseconds) ms"
          + (lastLoss.map { " (last: \($0))" } ?? "")
          + "; see whether the service runs and its disk has room, then send them again"
      case .notTheProtocol(let socket, let fault):
        "\(socket): \(fault); this is not a hordelink job's socket, or that of another release"
      case .tooLarge(let bytes, let limit):
        "an update of \(bytes) bytes; no service accepts more than \(limit): shorten its metadata"
      }
    }
  }
}

extension WorkerClient.Update {
  /// The frame that reports this, length included: for those who send many at once.
  ///
  /// - Throws: `Failure.tooLarge`.
  public func frame(id: Int64, job: JobID) throws(WorkerClient.Failure) -> [UInt8] {
    let frame = WorkerUpdateFrame.encode(id: id, job: job, status: status, metadata: metadata)
    guard frame.count - 4 <= WorkerClient.longestFrame else {
      throw .tooLarge(bytes: frame.count - 4, limit: WorkerClient.longestFrame)
    }
    return frame
  }
}
