import Glibc
import Platform

/// Tells events on standard output, each on a line of its own and at once, and the URL in a file.
struct EventPrinter: Sendable {
  /// As JSON for a program, or in words for a person.
  var asJSON: Bool
  /// Where the URL is written before it is told; nil for nowhere.
  var urlFile: String?

  /// Writes the event. Where that cannot be done, nobody reads them any more, and the program ends.
  func print(_ event: Event) {
    do {
      if case .listening(let url) = event, let urlFile { try Self.replace(urlFile, with: url) }
      let line = asJSON ? event.json(at: Clock.bootNanoseconds) : Array(event.line.utf8)
      try Self.write(line + [UInt8(ascii: "\n")], to: STDOUT_FILENO, "standard output")
    } catch {
      try? Self.write(
        Array("hordelink-dev-facilitator: \(error)\n".utf8), to: STDERR_FILENO, "standard error")
      exit(EXIT_FAILURE)
    }
  }

  private static func write(
    _ bytes: [UInt8], to descriptor: Int32, _ subject: String
  ) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written >= 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        throw SystemError("write", subject)
      }
    }
  }

  /// Replaces the file so that whoever looks finds all of the text or what was there before.
  private static func replace(_ path: String, with text: String) throws(SystemError) {
    let temporary = path + ".new"
    let number = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard number >= 0 else { throw SystemError("open", temporary) }
    let file = Descriptor(owning: number)
    try write(Array(text.utf8), to: file.number, temporary)
    guard rename(temporary, path) == 0 else { throw SystemError("rename", path) }
  }
}
