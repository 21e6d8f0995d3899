import Decisions
import MessagePack
import Messages

/// Takes an update through all that the first one will go through, of which nothing is sent.
///
/// A program's first pass through its code is several times as long as the others: pages come in, and Swift's runtime makes
/// the types of arrays. A Listener hears few updates, and waits for them while its job's command starts; it has the time
/// then, and its first worker is answered sooner (docs/benchmarks/bench.md).
enum WarmUp {
  static func run(_ settings: ListenerSettings, generation: Generation) {
    guard let job = settings.job else { return }
    var core = ListenerCore(settings: settings)
    let worker = ConnectionID(.max)
    let now = Instant(nanoseconds: 0)
    var assembler = FrameAssembler(limit: settings.maxFrameBytes)
    assembler.append(frame(job))
    guard let body = try? assembler.next() else { return }
    let request = WorkerRequest(body, job: job, limit: settings.maxFrameBytes)
    let events: [ListenerCore.Event] = [
      .uplinkConnected, .fromUplink(.welcome(ended: false)), .workerConnected(worker), .workerRequest(worker, request),
      .fromUplink(.stored(SequenceNumber(1))), .workerClosed(worker),
    ]
    for event in events {
      for action in core.handle(event, at: now) {
        switch action {
        case .toUplink(let message): _ = message.frame(generation: generation)
        case .answer(_, let id, let answer): _ = Worker.frame(answer, id: id)
        default: break
        }
      }
    }
    let answer = UplinkToListener.stored(SequenceNumber(1)).frame(generation: generation)
    _ = try? UplinkToListener.read(answer.dropFirst(4))
  }

  /// A status with what a command has written.
  private static func frame(_ job: JobID) -> [UInt8] {
    let output = MessagePackValue.map([
      MessagePackPair(.string("docker_process_stdout"), .string("")),
      MessagePackPair(.string("docker_process_stderr"), .string("")),
    ])
    return WorkerUpdateFrame.encode(
      id: 0, job: job, status: JobStatus.accepted.name,
      metadata: .map([MessagePackPair(.string("miner_response"), output)]))
  }
}
