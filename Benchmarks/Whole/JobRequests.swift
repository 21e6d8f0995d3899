import Facilitator
import Identity
import Messages
import Platform

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
    return ServerFrame.text(text)
  }
}

/// What a WebSocket's server sends. Source: RFC 6455, section 5.2.
enum ServerFrame {
  static func text(_ payload: [UInt8]) -> [UInt8] { frame(0x81, payload) }
  static func pong(_ payload: [UInt8]) -> [UInt8] { frame(0x8a, payload) }
  static func close(_ payload: [UInt8]) -> [UInt8] { frame(0x88, payload) }

  private static func frame(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let length: [UInt8] =
      switch payload.count {
      case ..<126: [UInt8(payload.count)]
      case ..<65_536: [126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
      default: [127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
      }
    return [first] + length + payload
  }
}
