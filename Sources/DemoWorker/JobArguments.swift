import Glibc
import JSON
import Messages
import Platform

/// Why what came on standard input is no job that can be run.
struct UnusableRequest: Error, CustomStringConvertible {
  var description: String
}

/// What of a job request the demo runs: its `args`. Everything else in it is left to the real executors.
/// Source: PROTOCOL.md, V2JobRequest.
enum JobArguments {
  /// Reads the request to the end of `input`, at most `Limits.facilitatorFrameBytes` bytes of it.
  static func read(from input: Descriptor) throws -> [String] {
    // Whoever gave us this descriptor may have left it non-blocking; there is nothing to do until the request is here.
    try input.setNonBlocking(false)
    var bytes: [UInt8] = []
    while let more = try input.read(upTo: 65_536), !more.isEmpty {
      bytes += more
      guard bytes.count <= Limits.facilitatorFrameBytes else {
        throw UnusableRequest(
          description: "the job request is longer than \(Limits.facilitatorFrameBytes) bytes, the most there can be")
      }
    }
    return try parse(bytes)
  }

  /// The arguments in a request.
  static func parse(_ bytes: [UInt8]) throws -> [String] {
    let request = try JSONValue.parse(bytes, limits: JSONLimits(bytes: Limits.facilitatorFrameBytes))
    guard case .array(let values) = request["args"] else {
      throw UnusableRequest(description: "the job request has no list `args`; send a V2JobRequest")
    }
    let arguments = values.compactMap(\.stringValue)
    // A NUL ends an argument for the kernel: what follows it would be lost without a word.
    guard arguments.count == values.count, arguments.allSatisfy({ !$0.utf8.contains(0) }) else {
      throw UnusableRequest(description: "`args` in the job request holds more than strings without NUL")
    }
    guard let program = arguments.first, !program.isEmpty else {
      throw UnusableRequest(description: "`args` in the job request names no program to run")
    }
    return arguments
  }
}
