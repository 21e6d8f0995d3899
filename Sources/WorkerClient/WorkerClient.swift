import Glibc
import MessagePack
import Messages
import Platform

/// A job's worker as the service sees it: reports statuses on the job's socket and waits until each is durable.
///
/// A connection that is lost or refused before the answer is made anew and what was not answered is sent again:
/// the service acknowledges a status that it has already. Blocking; confined to one thread.
/// Source: DESIGN.md, What users touch, the worker's protocol on HORDELINK_SOCKET.
public final class WorkerClient {
  /// The longest frame sent, in bytes: the most that `max_frame_bytes` can be set to.
  public static let longestFrame = 67_108_864
  /// The longest pause between two attempts to connect, in milliseconds.
  private static let longestPause: Int32 = 1000

  private let socketPath: String
  private let job: JobID
  private let patienceMilliseconds: Int
  private var connection: WaitingConnection?
  private var nextID: Int64 = 1

  /// Is told why a connection was lost or refused, each time before it is tried again.
  public var onRetry: ((SystemError) -> Void)?

  /// - Parameters:
  ///   - socketPath: the job's socket, what HORDELINK_SOCKET names. Nothing is done with it yet.
  ///   - job: the job whose socket that is, what HORDELINK_JOB_UUID names.
  ///   - patienceMilliseconds: how long to go on without one answer; at most a day (`Deadline.longest`).
  public init(socketPath: String, job: JobID, patienceMilliseconds: Int = 60_000) {
    self.socketPath = socketPath
    self.job = job
    self.patienceMilliseconds = patienceMilliseconds
  }

  /// Connects now and once, for those who would rather know at once that nobody listens. `send` connects by itself.
  ///
  /// - Throws: what connect(2) says.
  public func connect() throws(SystemError) { _ = try connected() }

  private func connected() throws(SystemError) -> WaitingConnection {
    if let connection { return connection }
    let made = try WaitingConnection(connectingTo: socketPath, limit: Limits.updateOverheadBytes)
    connection = made
    return made
  }

  /// Reports one status and waits for the answer.
  public func send(_ status: JobStatus, metadata: MessagePackValue? = nil) throws(Failure) -> Answer {
    let answers = try send([Update(status, metadata: metadata)])
    guard let answer = answers.first else {
      throw .notTheProtocol(socket: socketPath, "there is no answer among the answers")
    }
    return answer
  }

  /// Reports several statuses in this order without waiting in between.
  ///
  /// - Returns: an answer for each, in the same order; one that is refused holds up none of the others.
  /// - Throws: `Failure`. What was answered until then is stored or refused as it was answered; to send all of it
  ///   again does no harm.
  public func send(_ updates: [Update]) throws(Failure) -> [Answer] {
    var batch = Batch(firstID: nextID, deadline: .after(milliseconds: patienceMilliseconds))
    for update in updates {
      batch.frames.append(try update.frame(id: nextID, job: job))
      nextID += 1
    }
    // Whatever else a connection may still bring after a failure is an answer to nobody.
    var isWhole = false
    defer { if !isWhole { connection = nil } }

    var attempts = 0
    while true {
      let answered = batch.answers.count
      switch attempt(&batch) {
      case .complete:
        isWhole = true
        return batch.answers
      case .outOfTime: throw noAnswer(batch, lastLoss: nil)
      case .violated(let fault): throw .notTheProtocol(socket: socketPath, fault)
      case .lost(let loss):
        connection = nil
        guard Self.isPassing(loss) else { throw .unreachable(loss) }
        attempts = batch.answers.count > answered ? 1 : attempts + 1
        let left = batch.deadline.millisecondsLeft
        guard left > 0 else { throw noAnswer(batch, lastLoss: loss) }
        onRetry?(loss)
        pause(beforeAttempt: attempts, atMost: left)
      }
    }
  }

  private enum Outcome {
    case complete
    case lost(SystemError)
    case outOfTime
    /// The peer said something that is not of the protocol.
    case violated(String)
  }

  /// Sends what is not answered yet over one connection, until all of it is or the connection is no more.
  private func attempt(_ batch: inout Batch) -> Outcome {
    let connection: WaitingConnection
    do throws(SystemError) { connection = try connected() } catch { return .lost(error) }
    var sent = batch.answers.count
    do throws(FrameConnection.Failure) {
      while !batch.isComplete {
        while sent < batch.frames.count, !connection.wantsToWrite {
          connection.send(batch.frames[sent])
          sent += 1
        }
        guard try connection.turn(until: batch.deadline) else { return .outOfTime }
        while let body = try connection.nextBody() {
          if let fault = batch.take(body, sent: sent) { return .violated(fault) }
          batch.deadline = .after(milliseconds: patienceMilliseconds)
        }
        if connection.atEnd, !batch.isComplete {
          return .lost(SystemError("read", socketPath, code: ECONNRESET))
        }
      }
      return .complete
    } catch {
      switch error {
      case .system(let error): return .lost(error)
      case .frame, .notReading: return .violated(error.description)
      }
    }
  }

  /// What a service that is being restarted leads to, and what another attempt can therefore mend.
  private static func isPassing(_ loss: SystemError) -> Bool {
    [ENOENT, ECONNREFUSED, ECONNRESET, EPIPE, EAGAIN].contains(loss.code)
  }

  /// Full jitter, so that workers that lost one service together do not all come back in the same instant.
  private func pause(beforeAttempt attempt: Int, atMost left: Int32) {
    let ceiling = min(Self.longestPause, 10 << Int32(min(attempt, 7)), left)
    // Nothing says when a socket that refuses stops doing so: this wait can be for nothing but time.
    _ = poll(nil, 0, Int32.random(in: 0...ceiling))
  }

  private func noAnswer(_ batch: Batch, lastLoss: SystemError?) -> Failure {
    .noAnswer(
      socket: socketPath, unanswered: batch.frames.count - batch.answers.count,
      milliseconds: patienceMilliseconds, lastLoss: lastLoss)
  }
}
