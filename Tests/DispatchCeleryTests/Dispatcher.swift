import Glibc
import Messages
import Platform
import Rehearsal

/// A hordelink-dispatch-celery that runs, as the Supervisor starts one.
struct Dispatcher {
  private static let program = "hordelink-dispatch-celery"

  /// What it left behind.
  struct Result: Hashable {
    /// Nil when a signal has ended it.
    var code: Int32?
    var output: String
    var errors: String
  }

  let process: RunningProcess
  private let output: Descriptor
  private let errors: Descriptor

  init(_ input: [UInt8], arguments: [String] = []) throws {
    let path = "\(try ProcessTable.ownFolder())/\(Self.program)"
    var request = SpawnRequest(executable: path, arguments: [path] + arguments, environment: ["PATH=/usr/bin:/bin"])
    output = try Files.inMemory([], name: "output")
    errors = try Files.inMemory([], name: "errors")
    request.standardInput = try Files.inMemory(input, name: "order")
    request.standardOutput = output
    request.standardError = errors
    process = try RunningProcess(pid: try request.spawn())
  }

  init(_ order: TaskOrder) throws { try self.init(order.frame(generation: .none)) }

  /// Waits for its end.
  func result() throws -> Result {
    guard let ending = try process.wait(milliseconds: 60_000) else {
      process.signal(SIGKILL)
      throw RehearsalError("the dispatcher does not end within a minute")
    }
    return Result(code: ending.code, output: try Self.content(output), errors: try Self.content(errors))
  }

  private static func content(_ file: Descriptor) throws -> String {
    lseek(file.number, 0, SEEK_SET)
    var bytes: [UInt8] = []
    while let more = try file.read(upTo: 65_536), !more.isEmpty { bytes += more }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func run(_ order: TaskOrder) throws -> Result { try Dispatcher(order).result() }
}
