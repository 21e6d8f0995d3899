import Foundation
import Glibc

@testable import Platform

/// A directory of its own under /tmp, whose path is short enough for a socket; removed with the last reference.
final class TemporaryDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/hl-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", "/tmp") }
    path = String(cString: made)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }
}

/// How a process that was waited for ended.
enum Ending: Equatable {
  case code(Int32)
  case signal(Int32)
}

/// Reaps that process and no other.
func reap(_ pid: pid_t) throws -> Ending {
  var status: Int32 = 0
  while waitpid(pid, &status, 0) != pid {
    guard errno == EINTR else { throw SystemError("waitpid", "\(pid)") }
  }
  return status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
}

/// Runs a program to its end: what it wrote to its standard output, and how it ended.
func run(
  _ arguments: [String], environment: [String] = ["PATH=/usr/bin:/bin"],
  _ change: (inout SpawnRequest) -> Void = { _ in }
) throws -> (output: String, ending: Ending, pid: pid_t) {
  var request = SpawnRequest(executable: arguments[0], arguments: arguments, environment: environment)
  var pipe: (reading: Descriptor, writing: Descriptor)? = try Files.pipe()
  let reading = pipe?.reading
  request.standardOutput = pipe?.writing
  change(&request)
  let pid = try request.spawn()
  // Ours is closed, so that the end of the program's is the end of file.
  request.standardOutput = nil
  pipe = nil
  try reading?.setNonBlocking(false)
  var output: [UInt8] = []
  while let bytes = try reading?.read(upTo: 4096), !bytes.isEmpty { output += bytes }
  return (String(decoding: output, as: UTF8.self), try reap(pid), pid)
}

/// Runs a script of the shell.
func shell(_ script: String, _ change: (inout SpawnRequest) -> Void = { _ in }) throws -> String {
  try run(["/bin/sh", "-c", script], change).output
}

/// The system call's error that `body` ends in, or nil when it succeeds.
func refusal<Result: ~Copyable>(_ body: () throws(SystemError) -> Result) -> SystemError? {
  do throws(SystemError) {
    _ = try body()
    return nil
  } catch { return error }
}

/// Whether it comes true before long.
///
/// A process that another test is spawning holds a copy of every descriptor for the moment until it becomes its
/// program: what a descriptor that was closed here still holds, it holds until then.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  for _ in 0..<10_000 {
    if try condition() { return true }
    usleep(1000)
  }
  return false
}
