import ArgumentParser
import MessagePack
import Messages
import Platform
import WorkerClient

struct SendCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "send", abstract: "Reports a job's status by hand, as a worker does.",
    discussion: """
      The service checks and stores it like any worker's, and it is acknowledged once nothing can lose it any more. \
      Statuses: \(statusNames.joined(separator: ", ")).

      \(ControlFailure.help)
      """)

  private static let statusNames = JobStatus.allCases.map(\.name)

  @OptionGroup var location: Location

  @Argument(help: ArgumentHelp("The job's UUID.", valueName: "uuid"), transform: Self.job)
  var job: JobID

  @Argument(help: "The status by its name.", transform: Self.status)
  var status: JobStatus

  @Option(
    name: .long,
    help: ArgumentHelp("What goes with the status: a JSON object. (default: nothing)", valueName: "json"),
    transform: MetadataText.parse)
  var metadata: MessagePackValue?

  func run() throws {
    try reportingFailure { () throws(ControlFailure) in
      print(try Self.send(status, metadata: metadata, of: job, in: location.resolve()))
    }
  }

  /// Sends one status over the job's own socket and waits for the answer.
  /// - Returns: what was acknowledged, in words.
  static func send(
    _ status: JobStatus, metadata: MessagePackValue?, of job: JobID, in runtimeDirectory: String,
    patienceMilliseconds: Int = Question.patienceMilliseconds
  ) throws(ControlFailure) -> String {
    let path = "\(runtimeDirectory)/jobs/\(job)/worker.sock"
    let client = WorkerClient(socketPath: path, job: job, patienceMilliseconds: patienceMilliseconds)
    // A person would rather know at once that there is no such job than wait for one to appear.
    do throws(SystemError) { try client.connect() } catch {
      throw ControlFailure(connecting: error, to: path, .worker)
    }
    let answer: WorkerClient.Answer
    do throws(WorkerClient.Failure) { answer = try client.send(status, metadata: metadata) } catch {
      throw ControlFailure(error, at: path)
    }
    switch answer {
    case .stored: return "\(status.name) of job \(job) is acknowledged: the facilitator will get it"
    case .refused(let refusal):
      throw ControlFailure(
        .refused, "\(status.name) of job \(job) is refused: \(Terminal.printable(refusal.description))")
    }
  }

  @Sendable private static func job(_ text: String) throws -> JobID {
    guard let job = JobID(text) else {
      throw ValidationError(
        "A job's UUID is 36 characters, lower-case, as in 11111111-2222-4333-8444-555555555555: see hordelinkctl jobs.")
    }
    return job
  }

  /// The service would take a name it does not know for `unknown`; here it is a slip of the hand.
  @Sendable private static func status(_ text: String) throws -> JobStatus {
    guard let status = JobStatus.allCases.first(where: { $0.name == text }) else {
      throw ValidationError("There is no such status. It is one of: \(statusNames.joined(separator: ", ")).")
    }
    return status
  }
}
