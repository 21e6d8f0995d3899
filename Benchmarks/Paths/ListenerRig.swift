import Decisions
import MessagePack
import Messages

/// A Listener without its sockets: a worker's frames are decoded and checked, decided and encoded for Uplink, whose Stored
/// is decoded and decided in turn. All five of a job come at once.
final class ListenerRig {
  enum Part {
    case decode, decide, encode, everything
  }

  private static let worker = ConnectionID(16)
  private let part: Part
  private let job = Sample.job(1)
  /// Of the worker, all in one read.
  private let frames: [UInt8]
  private let requests: [WorkerRequest]
  private var core: ListenerCore
  private var fromWorker = FrameAssembler(limit: 1 << 20)
  private var fromUplink = FrameAssembler(limit: 1 << 20)
  private var number: UInt64 = 0
  private let now = Instant(nanoseconds: 1_000_000_000)

  init(_ part: Part) {
    self.part = part
    let job = job
    frames = Sample.statuses.enumerated().flatMap { Sample.workerFrame($1, job: job, id: Int64($0)) }
    requests = Sample.statuses.map {
      WorkerRequest(id: .int(1), content: .update($0, metadata: Sample.metadata($0)))
    }
    core = ListenerCore(settings: ListenerSettings(job: job, uplinkSocket: "", maxFrameBytes: 1 << 20))
    _ = core.start()
    for event: ListenerCore.Event in [
      .uplinkConnected, .fromUplink(.welcome(ended: false)), .workerConnected(Self.worker),
    ] { _ = core.handle(event, at: now) }
  }

  /// Takes all updates of one job all the way.
  func run() throws {
    switch part {
    case .decode: _ = try decoded()
    case .encode: _ = try requests.map { try encoded(number, $0) }
    case .decide:
      try decide(requests)
      for message in stored { try settle(message) }
    case .everything:
      try decide(try decoded())
      // Their numbers rise, so that they cannot be made beforehand. They are small.
      for message in stored { fromUplink.append(message.frame(generation: Generation(1))) }
      while let body = try fromUplink.next() { try settle(try UplinkToListener.read(body).message) }
    }
  }

  /// What Uplink says to the updates of the last job.
  private var stored: [UplinkToListener] {
    requests.indices.reversed().map { .stored(SequenceNumber(number - UInt64($0))) }
  }

  private func decoded() throws -> [WorkerRequest] {
    fromWorker.append(frames)
    var requests: [WorkerRequest] = []
    while let body = try fromWorker.next() {
      let request = WorkerRequest(body, job: job, limit: 1 << 20)
      guard case .update = request.content else { throw PathError("a worker's frame is \(request.content)") }
      requests.append(request)
    }
    guard requests.count == Sample.statuses.count else { throw PathError("a worker's frame is not read") }
    return requests
  }

  private func decide(_ requests: [WorkerRequest]) throws {
    for request in requests {
      number += 1
      for action in core.handle(.workerRequest(Self.worker, request), at: now) {
        guard case .toUplink(let message) = action else { throw PathError("the Listener does \(action)") }
        if part == .everything { try check(message.frame(generation: Generation(1))) }
      }
    }
  }

  private func settle(_ message: UplinkToListener) throws {
    let answers = core.handle(.fromUplink(message), at: now).filter { if case .answer = $0 { true } else { false } }
    guard answers.count == 1 else { throw PathError("a worker has \(answers.count) answers") }
  }

  private func encoded(_ number: UInt64, _ request: WorkerRequest) throws {
    guard case .update(let status, let metadata) = request.content else { return }
    try check(
      ListenerToUplink.update(SequenceNumber(number), status, metadata: metadata).frame(generation: Generation(1)))
  }

  private func check(_ frame: [UInt8]) throws {
    guard frame.count > 4 else { throw PathError("a frame is empty") }
  }
}
