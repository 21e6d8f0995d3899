import Decisions
import Messages

func job(_ number: Int) -> JobID {
  let digits = String(number, radix: 16)
  return JobID("00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)!
}

/// That many seconds after boot.
func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1_000_000_000)) }

func entry(_ id: Int64, _ job: JobID, _ status: JobStatus) -> OutboxEntry {
  OutboxEntry(id: UpdateID(id), job: job, status: status, metadata: nil)
}

func errors(_ type: String) -> FacilitatorAnswer {
  .errors([FacilitatorError(type: type, message: "said so")])
}

extension UplinkSettings {
  static func test(
    graceSeconds: Int = 600, maxOpenJobs: Int = 1000, window: Int = 256, launcher: Bool = false
  ) -> UplinkSettings {
    UplinkSettings(
      stateDirectory: "/s", secure: true, host: "h", port: 443, path: "/", hotkeyFile: "/k",
      trustedSigners: [],
      graceSeconds: graceSeconds, maxOpenJobs: maxOpenJobs, window: window, commandIsLauncher: launcher,
      drainSeconds: 30)
  }
}
