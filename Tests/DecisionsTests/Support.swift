import Decisions
import Messages

func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

/// That many seconds after boot.
func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1_000_000_000)) }

func entry(
  _ id: Int64, _ job: JobID, _ status: JobStatus, metadata: [UInt8]? = nil, storedAt: Int64 = 0, attempts: Int = 0
) -> OutboxEntry {
  OutboxEntry(
    id: UpdateID(id), job: job, status: status, metadata: metadata, storedAt: WallTime(milliseconds: storedAt),
    attempts: attempts)
}

func errors(_ type: String) -> FacilitatorAnswer {
  .errors([FacilitatorError(type: type, message: "said so")])
}

extension UplinkSettings {
  static func test(
    graceSeconds: Int = 600, maxOpenJobs: Int = 1000, window: Int = 256, maxRows: Int = 2_000_000,
    maxBytes: Int = 8 << 30, launcher: Bool = false, maxRequestBytes: Int = 2 << 20, maxAgeSeconds: Int = 2_592_000
  ) -> UplinkSettings {
    UplinkSettings(
      stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/", hotkeyFile: "/k",
      trustedSigners: [], maxAgeSeconds: maxAgeSeconds,
      graceSeconds: graceSeconds, maxOpenJobs: maxOpenJobs, maxRequestBytes: maxRequestBytes, window: window,
      maxRows: maxRows, maxBytes: maxBytes,
      commandIsLauncher: launcher,
      drainSeconds: 30)
  }
}

extension Outbox {
  /// One connection on which everything is answered until that job's update comes, or nothing is left. Returns the
  /// numbers of what was delivered.
  mutating func answerAll(until poison: JobID, at now: inout Instant) -> Set<Int64> {
    var delivered: Set<Int64> = []
    var sent: [OutboxEntry] = []
    while true {
      while let entry = next(at: now) { sent.append(entry) }
      if sent.isEmpty {
        // A suspect is tried only on a connection that is known to work without it.
        guard let probe = nextDeadline else { return delivered }
        now = probe
        continue
      }
      if sent.removeFirst().job == poison { return delivered }
      if case .delivered(let entry, _) = answered(.success, at: now) { delivered.insert(entry.id.number) }
    }
  }
}
