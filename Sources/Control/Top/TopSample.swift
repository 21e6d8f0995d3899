import Glibc
import Messages
import Platform

/// How the service is at one moment, as far as can be told.
struct TopSample {
  /// When, in nanoseconds after boot.
  var nanoseconds: Int64
  /// When, in milliseconds since 1970.
  var wall: Int
  /// nil when nobody answered.
  var report: ServiceReport?
  /// Why nobody did.
  var failure: String?
  /// What each process takes, by its pid, where that can be read.
  var usage: [Int: ProcessUsage] = [:]

  /// How long the Supervisor has to answer: half a second longer than it gives Uplink.
  private static let patienceMilliseconds = 2500

  /// Asks the service in that directory.
  static func take(_ runtimeDirectory: String) throws(ControlFailure) -> TopSample {
    let report = try Question.ask(.jobs, in: runtimeDirectory, patienceMilliseconds: patienceMilliseconds)
    var sample = TopSample(failure: nil)
    for child in report.children where child.pid > 0 { sample.look(at: child.pid) }
    // The Supervisor does not report itself; its children know whose they are.
    if let parent = sample.usage.values.first?.parent { sample.look(at: Int(parent)) }
    sample.report = report
    return sample
  }

  /// A moment at which nobody answered.
  init(failure: String?) {
    nanoseconds = Clock.bootNanoseconds
    wall = Int(Clock.wallMilliseconds)
    self.failure = failure
  }

  private mutating func look(at pid: Int) {
    usage[pid] = pid_t(exactly: pid).flatMap { ProcessTable.usage(of: $0) }
  }
}
