import Glibc
import MessagePack
import Messages
import Platform
import WorkerClient

/// Runs the job on standard input and reports it, as a job's command does.
///
/// HORDELINK_SOCKET and HORDELINK_JOB_UUID say where to report. HORDELINK_DEMO_PAUSE_MS, from 0 to 60000, is how long
/// to wait between two statuses.
///
/// - Returns: the exit code. 0: the terminal status is acknowledged; 1: the service has refused a status; 64: the
///   environment is not that of a job's command; 65: the request cannot be run; 71: the system has no room for a
///   process; 75: the service did not answer.
public func runDemoWorker() -> Int32 {
  do {
    let environment = ProcessTable.environment
    let settings = try WorkerSettings(environment)
    let arguments = try JobArguments.read(from: Descriptor(owning: STDIN_FILENO))
    let client = WorkerClient(socketPath: settings.socketPath, job: settings.job)
    client.onRetry = { loss in say("\(loss); connecting again", on: STDERR_FILENO) }
    let worker = Worker(settings: settings) { status, metadata throws(WorkerClient.Failure) in
      try client.send(status, metadata: metadata)
    }
    try worker.run(arguments, environment: environment)
    return ExitCode.success
  } catch {
    say("\(error)", on: STDERR_FILENO)
    return exitCode(of: error)
  }
}

private func exitCode(of error: any Error) -> Int32 {
  switch error {
  case is UnusableEnvironment: ExitCode.usage
  case is WorkerClient.Failure: EX_TEMPFAIL
  case is StatusRefused: EXIT_FAILURE
  case is SystemError: EX_OSERR
  default: EX_DATAERR
  }
}

private func say(_ text: String, on descriptor: Int32) {
  let line = Array("\(descriptor == STDERR_FILENO ? "hordelink-demo-worker: " : "")\(text)\n".utf8)
  _ = write(descriptor, line, line.count)
}

/// This program was not started as a job's command is.
struct UnusableEnvironment: Error, CustomStringConvertible {
  var description: String
}

/// What a job's command finds in its environment. Source: DESIGN.md, What users touch.
struct WorkerSettings: Equatable {
  static let longestPause: Int32 = 60_000

  var socketPath: String
  var job: JobID
  var pauseMilliseconds: Int32 = 0

  init(_ environment: [String: String]) throws(UnusableEnvironment) {
    guard let socketPath = environment["HORDELINK_SOCKET"], !socketPath.isEmpty else {
      throw UnusableEnvironment(
        description: "HORDELINK_SOCKET is not set: name this program as dispatch.command, "
          + "or set it to a job's socket, RUNTIME_DIRECTORY/jobs/UUID/worker.sock")
    }
    guard let job = environment["HORDELINK_JOB_UUID"].flatMap({ JobID($0) }) else {
      throw UnusableEnvironment(
        description: "HORDELINK_JOB_UUID is not set to a UUID in its canonical form: "
          + "name this program as dispatch.command, or set it to the job's")
    }
    self.socketPath = socketPath
    self.job = job
    if let pause = environment["HORDELINK_DEMO_PAUSE_MS"] {
      guard let number = Int32(pause), (0...Self.longestPause).contains(number) else {
        throw UnusableEnvironment(
          description: "HORDELINK_DEMO_PAUSE_MS must be a number from 0 to \(Self.longestPause)")
      }
      pauseMilliseconds = number
    }
  }
}

/// The service will not store a status, so there is no use in going on.
struct StatusRefused: Error, CustomStringConvertible {
  var status: JobStatus
  var refusal: WorkerClient.Refusal

  var description: String { "\(status.name) is refused: \(refusal)" }
}

/// One job, from `accepted` to its terminal status.
struct Worker {
  let settings: WorkerSettings
  let report: (JobStatus, MessagePackValue?) throws(WorkerClient.Failure) -> WorkerClient.Answer

  func run(_ arguments: [String], environment: [String: String]) throws {
    try tell(.accepted)
    pause()
    try tell(.executorReady)
    pause()
    try tell(.volumesReady)
    pause()
    let result = try CommandRun.run(
      arguments, searchPath: environment["PATH"] ?? "/usr/bin:/bin",
      environment: ["PATH", "HOME", "LANG"].compactMap { name in environment[name].map { "\(name)=\($0)" } })
    try tell(.executionDone)
    pause()
    if result.exitStatus == 0 {
      try tell(.completed, TerminalMetadata.completed(result))
    } else {
      try tell(.failed, TerminalMetadata.failed(result))
    }
  }

  private func tell(_ status: JobStatus, _ metadata: MessagePackValue? = nil) throws {
    switch try report(status, metadata) {
    case .stored: say("\(status.name): acknowledged", on: STDOUT_FILENO)
    case .refused(let refusal): throw StatusRefused(status: status, refusal: refusal)
    }
  }

  /// The one wait here that is for nothing but time: without it a whole job is over before a person who watches the
  /// demo has read its first status.
  private func pause() { if settings.pauseMilliseconds > 0 { _ = poll(nil, 0, settings.pauseMilliseconds) } }
}
