import Messages
import Platform
import WorkerClient

/// What the Supervisor told: its children, and what Uplink answered.
struct ServiceReport: Equatable {
  var children: [ChildReport]
  /// nil while Uplink does not answer.
  var uplink: UplinkReport?
}

/// A question to the Supervisor.
enum Question {
  /// How long to wait for the answer, in milliseconds. The Supervisor gives Uplink two seconds of them.
  static let patienceMilliseconds = 5000

  /// Asks over `runtimeDirectory`/control.sock and waits for the answer.
  static func ask(
    _ query: UplinkQuery, in runtimeDirectory: String, patienceMilliseconds: Int = patienceMilliseconds
  ) throws(ControlFailure) -> ServiceReport {
    let path = runtimeDirectory + "/control.sock"
    let deadline = Deadline.after(milliseconds: patienceMilliseconds)
    let connection: WaitingConnection
    do throws(SystemError) {
      connection = try WaitingConnection(connectingTo: path, limit: Limits.controlFrameBytes)
    } catch {
      throw ControlFailure(connecting: error, to: path, .control)
    }
    connection.send(ControlToSupervisor.query(query).frame(generation: .none))
    do throws(FrameConnection.Failure) {
      while try connection.turn(until: deadline) {
        if case .report(let children, let uplink) = try connection.next(SupervisorToControl.self) {
          return ServiceReport(children: children, uplink: uplink)
        }
        if connection.atEnd { break }
      }
    } catch {
      if case .frame(let error) = error { throw ControlFailure(.notUnderstood, "\(path): \(error)") }
      throw ControlFailure(.noAnswer, "\(path): \(error): see journalctl -u hordelink, and ask again")
    }
    throw ControlFailure(
      .noAnswer,
      connection.atEnd
        ? "\(path): the Supervisor closed the connection without an answer: see journalctl -u hordelink"
        : "\(path): no answer in \(patienceMilliseconds) ms: the Supervisor is stuck or overloaded; "
          + "see journalctl -u hordelink, and ask again")
  }
}
