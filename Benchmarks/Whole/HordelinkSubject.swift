import Glibc
import JSON
import Measurements
import Messages
import Platform
import Rehearsal
import WorkerClient

/// The whole of hordelink, each job with a Listener on a Unix socket. Its commands say that they were started and end:
/// what is reported comes from here.
final class HordelinkSubject: Subject {
  let name = "hordelink"
  let parameters: [JSONMember] = []
  let sink: Sink
  let rehearsal: Rehearsal
  /// Where each command writes its job's uuid and a line feed: by then its Listener is ready.
  private let started: Started
  private let metricsPort: Int

  /// - Parameters:
  ///   - jobs: how many may be open at once.
  ///   - more: added to the sections of the configuration.
  init(programs: String, sink: Sink, jobs: Int, more: [String: String] = [:]) throws {
    self.sink = sink
    started = try Started(programs: programs)
    metricsPort = Int.random(in: 28_001...30_000)
    var settings = Rehearsal.Settings(programs: programs, command: started.command)
    settings.commandIsLauncher = true
    settings.more = more
    // As /run is.
    settings.runtimeIn = "/dev/shm"
    settings.more["metrics"] = "listen = \"127.0.0.1:\(metricsPort)\""
    settings.more["outbox", default: ""] += "\nmax_rows = 100_000_000"
    settings.more["jobs", default: ""] += "\nmax_open = \(max(1000, jobs))"
    settings.url = { _ in sink.url }
    rehearsal = try Rehearsal(settings)
  }

  /// Writes a record before the start.
  func makeRecord(_ fill: (FilledRecord) throws -> Void) throws {
    let record = try FilledRecord(in: rehearsal.stateDirectory)
    try fill(record)
    try record.commit()
  }

  func start() throws {
    try rehearsal.startSupervisor()
    try sink.waitUntilConnected()
  }

  /// Starts one, and ends it with what was done with it.
  static func run(
    _ options: Options, jobs: Int, more: [String: String] = [:], _ body: (HordelinkSubject) throws -> Void
  ) throws {
    let sink = try Sink()
    defer { sink.tearDown() }
    let subject = try HordelinkSubject(programs: options.programs, sink: sink, jobs: jobs, more: more)
    defer { subject.tearDown() }
    do {
      try subject.start()
      try body(subject)
    } catch {
      throw RehearsalError("\(error); the log ends with:\n\(subject.rehearsal.log.suffix(4000))")
    }
  }

  var processes: Processes { Processes(roots: rehearsal.supervisor.map { [("supervisor", $0.pid)] } ?? []) }

  func waitUntilHeard(_ jobs: Range<Int>) throws { _ = try waitUntilStarted(jobs.count) }

  /// Waits until so many commands have started, of which nobody has asked yet.
  /// - Returns: when each was heard of, in nanoseconds since boot.
  func waitUntilStarted(_ count: Int) throws -> [(job: Int, time: Int64)] { try started.wait(for: count) }

  func heard(_ jobs: Set<Int>) throws -> [Int] { try started.next(milliseconds: 1).map(\.job) }

  func transactions() throws -> Int? {
    let page = try Page.get("/metrics", port: metricsPort)
    let name = "hordelink_transactions_total "
    guard let line = page.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
      let count = Int(line.dropFirst(name.count))
    else { throw RehearsalError("Uplink serves no \(name)on port \(metricsPort)") }
    return count
  }

  func lanes(_ jobs: Range<Int>) throws -> [Lane] {
    try jobs.map {
      Lane(socket: try UnixSocket.connect(to: rehearsal.workerSocket(JobRequests.id($0))), answers: .frames)
    }
  }

  func portion(_ statuses: [JobStatus], of job: Int, in jobs: Range<Int>) throws -> Portion {
    var bytes: [UInt8] = []
    for (number, status) in statuses.enumerated() {
      bytes += try WorkerClient.Update(status).frame(id: Int64(number), job: JobRequests.id(job))
    }
    return Portion(lane: job - jobs.lowerBound, bytes: bytes, updates: statuses.count)
  }

  func waitUntilGone(_ jobs: Range<Int>) throws {
    try poll("the end of all Listeners") { try processes.all().filter { $0.role == "listeners" }.count <= 1 }
  }

  /// Ends jobs that were only to be there.
  func end(_ jobs: Range<Int>) throws {
    for job in jobs {
      let id = JobRequests.id(job)
      _ = try WorkerClient(socketPath: rehearsal.workerSocket(id), job: id).send(.completed)
    }
  }

  func tearDown() {
    rehearsal.tearDown()
    started.tearDown()
  }
}
