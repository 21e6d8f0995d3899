import Facilitator
import Identity
import Messages
import Platform
import Rehearsal

/// Job requests as a facilitator sends them, signed and framed before any clock starts.
struct JobRequests {
  /// The job of that number, which is in the last twelve digits of its uuid.
  static func id(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

  private let signer: Hotkey

  /// Signs as the development account that a `Rehearsal` trusts.
  init() throws { signer = Hotkey(try SecretKey.development("//Alice")) }

  /// The frame of a WebSocket's server with the request of a job that may take an hour.
  func frame(_ number: Int) throws -> [UInt8] {
    var job = SignedJob(job: Self.id(number), dockerImage: "hordelink/benchmark")
    job.executionLimit = 3600
    let text = try job.request(signedBy: signer, timestamp: UInt64(Clock.wallMilliseconds) * 1_000_000)
    return ServerWebSocket.text(text)
  }
}
