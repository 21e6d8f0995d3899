import MessagePack
import Messages

@testable import Decisions

/// A Listener's decisions, with the log lines left out of what they ask for.
struct ListenerUnderTest {
  var core: ListenerCore
  var now = at(0)

  init(job: JobID? = job(1), maxFrameBytes: Int = 1 << 20) {
    core = ListenerCore(settings: ListenerSettings(job: job, uplinkSocket: "/u", maxFrameBytes: maxFrameBytes))
  }

  /// One whose Uplink has welcomed it and that hears these connections.
  static func welcomed(connections: [UInt64] = [1]) -> ListenerUnderTest {
    var listener = ListenerUnderTest()
    _ = listener.core.start()
    listener.does(.uplinkConnected)
    listener.uplink(.welcome(ended: false))
    for id in connections { listener.does(.workerConnected(ConnectionID(id))) }
    return listener
  }

  @discardableResult
  mutating func does(_ event: ListenerCore.Event) -> [ListenerCore.Action] {
    core.handle(event, at: now).filter { action in
      if case .toSupervisor(.log) = action { false } else { true }
    }
  }

  @discardableResult
  mutating func uplink(_ message: UplinkToListener) -> [ListenerCore.Action] { does(.fromUplink(message)) }

  @discardableResult
  mutating func sends(
    _ status: JobStatus, id: Int64? = nil, on connection: UInt64 = 1, metadata: [UInt8]? = nil
  ) -> [ListenerCore.Action] {
    does(
      .workerRequest(
        ConnectionID(connection),
        WorkerRequest(id: id.map { .int($0) }, content: .update(status, metadata: metadata))))
  }

  @discardableResult
  mutating func sendsWrong(
    _ code: WorkerErrorCode, id: Int64? = nil, on connection: UInt64 = 1, closes: Bool = false
  ) -> [ListenerCore.Action] {
    does(
      .workerRequest(
        ConnectionID(connection),
        WorkerRequest(id: id.map { .int($0) }, content: .wrong(code, "why", closes: closes))))
  }
}

func update(_ number: UInt64, _ status: JobStatus, metadata: [UInt8]? = nil) -> ListenerCore.Action {
  .toUplink(.update(SequenceNumber(number), status, metadata: metadata))
}

func answer(_ answer: WorkerAnswer, id: Int64? = nil, on connection: UInt64 = 1) -> ListenerCore.Action {
  .answer(ConnectionID(connection), id: id.map { .int($0) }, answer)
}

func stored(_ number: UInt64) -> UplinkToListener { .stored(SequenceNumber(number)) }
