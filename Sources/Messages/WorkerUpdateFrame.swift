import MessagePack

/// The frame in which a worker reports a status on its job's socket.
/// Source: DESIGN.md, What users touch, the worker's protocol on HORDELINK_SOCKET.
public enum WorkerUpdateFrame {
  /// The frame, length included.
  ///
  /// - Parameters:
  ///   - id: given back with the answer.
  ///   - status: its name, whether it is one or not.
  ///   - metadata: left out when nil.
  public static func encode(id: Int64, job: JobID, status: String, metadata: MessagePackValue?) -> [UInt8] {
    var encoder = MessagePackEncoder()
    encoder.map(count: 3)
    encoder.string("id")
    encoder.int(id)
    encoder.string("type")
    encoder.string("job_status_update")
    encoder.string("payload")
    encoder.map(count: metadata == nil ? 2 : 3)
    encoder.string("uuid")
    encoder.string(job.description)
    encoder.string("status")
    encoder.string(status)
    if let metadata {
      encoder.string("metadata")
      encoder.value(metadata)
    }
    return encoder.framedBytes
  }
}
