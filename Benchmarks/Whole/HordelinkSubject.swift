import Glibc
import JSON
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

  /// - Parameters:
  ///   - jobs: how many may be open at once.
  ///   - more: added to the sections of the configuration.
  init(programs: String, sink: Sink, jobs: Int, more: [String: String] = [:]) throws {
    self.sink = sink
    started = try Started()
    var settings = Rehearsal.Settings(programs: programs, command: started.command)
    settings.commandIsLauncher = true
    settings.more = more
    settings.more["jobs", default: ""] += "\nmax_open = \(max(1000, jobs))"
    settings.url = { _ in sink.url }
    rehearsal = try Rehearsal(settings)
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

  func waitUntilHeard(_ jobs: Range<Int>) throws {
    _ = try started.wait(for: jobs.count)
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

  func tearDown() {
    rehearsal.tearDown()
    started.tearDown()
  }
}

/// A FIFO into which jobs' commands write that they were started. A shell is the command: of what every machine has, it
/// alone can write its environment somewhere in under a millisecond.
final class Started {
  private let folder: String
  private let fifo: Descriptor
  private var bytes: [UInt8] = []

  init() throws {
    folder = try Rehearsal.makeFolder("started-")
    guard mkfifo(folder + "/fifo", 0o600) == 0 else { throw SystemError("mkfifo", folder) }
    // For writing too, so that it has no end while nobody has it open.
    let number = open(folder + "/fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { throw SystemError("open", folder + "/fifo") }
    fifo = Descriptor(owning: number)
  }

  var command: [String] { ["/bin/sh", "-c", "echo $HORDELINK_JOB_UUID > \(folder)/fifo"] }

  /// Waits until so many commands have started since it was last asked.
  /// - Returns: when each was heard of, in nanoseconds since boot.
  func wait(for count: Int) throws -> [(job: Int, time: Int64)] {
    var found: [(Int, Int64)] = []
    while found.count < count {
      guard try Waiting.readable([fifo], milliseconds: 120_000)[0] else {
        throw RehearsalError("\(count - found.count) of \(count) commands were not started within two minutes")
      }
      bytes += try fifo.read(upTo: 65_536) ?? []
      let now = Clock.bootNanoseconds
      // A uuid and a line feed.
      while bytes.count >= 37 {
        guard let job = Int(String(decoding: bytes[24..<36], as: UTF8.self), radix: 16) else {
          throw RehearsalError("a command wrote something else than its job's uuid")
        }
        found.append((job, now))
        bytes.removeFirst(37)
      }
    }
    return found
  }

  func tearDown() { Rehearsal.removeTree(folder) }
}
