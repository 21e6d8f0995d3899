import Glibc
import Platform
import Rehearsal

/// A FIFO into which jobs' commands write that they were started. The command is a static C program that does nothing else:
/// what it costs is to be hordelink's.
final class Started {
  private let folder: String
  private let program: String
  private let fifo: Descriptor
  private var bytes: [UInt8] = []

  /// - Parameter programs: the folder with hordelink-bench-started.
  init(programs: String) throws {
    program = programs + "/hordelink-bench-started"
    guard access(program, X_OK) == 0 else { throw RehearsalError("\(program) is not there; make it with make bench") }
    folder = try Rehearsal.makeFolder("started-")
    guard mkfifo(folder + "/fifo", 0o600) == 0 else { throw SystemError("mkfifo", folder) }
    // For writing too, so that it has no end while nobody has it open.
    let number = open(folder + "/fifo", O_RDWR | O_NONBLOCK | O_CLOEXEC)
    guard number >= 0 else { throw SystemError("open", folder + "/fifo") }
    fifo = Descriptor(owning: number)
  }

  var command: [String] { [program, folder + "/fifo"] }

  /// Waits until so many commands have started since it was last asked.
  /// - Returns: when each was heard of, in nanoseconds since boot.
  func wait(for count: Int) throws -> [(job: Int, time: Int64)] {
    var found: [(Int, Int64)] = []
    while found.count < count {
      let more = try next(milliseconds: 120_000)
      guard !more.isEmpty else {
        throw RehearsalError("\(count - found.count) of \(count) commands were not started within two minutes")
      }
      found += more
    }
    return found
  }

  /// Those that have started since it was last asked; waits so long for the first.
  func next(milliseconds: Int32) throws -> [(job: Int, time: Int64)] {
    guard try Waiting.readable([fifo], milliseconds: milliseconds)[0] else { return [] }
    bytes += try fifo.read(upTo: 65_536) ?? []
    let now = Clock.bootNanoseconds
    var found: [(Int, Int64)] = []
    // A uuid and a line feed.
    while bytes.count >= 37 {
      guard let job = Int(String(decoding: bytes[24..<36], as: UTF8.self), radix: 16) else {
        throw RehearsalError("a command wrote something else than its job's uuid")
      }
      found.append((job, now))
      bytes.removeFirst(37)
    }
    return found
  }

  func tearDown() { Rehearsal.removeTree(folder) }
}
