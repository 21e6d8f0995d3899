import Decisions
import MessagePack
import Messages

/// The updates that go the paths: those of many jobs, each of which reports five times and is completed.
enum Sample {
  /// How many updates are read, decided and stored together.
  static let batch = 64
  static let statuses: [JobStatus] = [.accepted, .executorReady, .volumesReady, .executionDone, .completed]
  /// After so many updates all is as before: their jobs are completed.
  static let round = batch * statuses.count
  /// How many updates there are.
  static let capacity = 10 * round
  static let jobs = capacity / statuses.count

  static func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

  /// The updates of a batch: one status of as many jobs.
  static func updates(_ batch: Int) -> [(job: Int, status: JobStatus)] {
    let status = statuses[batch % statuses.count]
    return (0..<Self.batch).map { (batch / statuses.count * Self.batch + $0, status) }
  }

  /// What is said with a status, as the Listener writes it: nothing but at the end.
  static func metadata(_ status: JobStatus) -> [UInt8]? { status == .completed ? completed : nil }

  private static let completed = Array(
    (#"{"miner_response":{"docker_process_stderr":"","docker_process_stdout":"\#(output)"},"#
      + #""job_rejection_details":null,"job_failure_details":null,"horde_failure_details":null,"#
      + #""streaming_details":null}"#).utf8)

  /// The same as a worker sends it, in a frame with its length.
  static func workerFrame(_ status: JobStatus, job: JobID, id: Int64) -> [UInt8] {
    guard status == .completed else {
      return WorkerUpdateFrame.encode(id: id, job: job, status: status.name, metadata: nil)
    }
    let response: MessagePackValue = .map([
      MessagePackPair(.string("docker_process_stderr"), .string("")),
      MessagePackPair(.string("docker_process_stdout"), .string(output)),
    ])
    return WorkerUpdateFrame.encode(
      id: id, job: job, status: status.name, metadata: .map([MessagePackPair(.string("miner_response"), response)]))
  }

  private static let output = String(repeating: "x", count: 200)

  /// The frames that the Listeners of a batch send Uplink.
  static func listenerFrames(_ batch: Int) -> [[UInt8]] {
    updates(batch).map { _, status in
      ListenerToUplink.update(SequenceNumber(UInt64(batch % statuses.count + 1)), status, metadata: metadata(status))
        .frame(generation: Generation(1))
    }
  }
}
