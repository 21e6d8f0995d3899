import ArgumentParser
import Glibc
import NIOCore
import NIOPosix
import Platform

/// The program's command line, and what it does with standard input and output.
public struct DevFacilitatorCommand: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "hordelink-dev-facilitator",
    abstract: "Plays the facilitator: takes validators' connections, hands out jobs, and tells what it hears.",
    discussion: """
      Reads commands from standard input, one JSON object a line, such as \
      {"command":"job","uuid":"...","args":["true"]}, and ends with it. For demonstrations and tests only.
      """)

  @OptionGroup var options: Options

  public init() {}

  /// Serves until standard input ends or says `quit`.
  ///
  /// - Throws: why it cannot listen or sign, in words for standard error.
  public func run() throws {
    let settings = try options.settings()
    let printer = EventPrinter(asJSON: options.json, urlFile: options.urlFile)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let server: NIOLoopBound<Server>
    do { server = try Server.start(settings, on: loop, report: { printer.print($0) }).wait() } catch {
      throw ValidationError("cannot listen on \(options.listen): \(error)")
    }
    try Self.obey(Descriptor(owning: STDIN_FILENO)) { line in
      try loop.flatSubmit { server.value.execute(line) }.wait()
    }
    try loop.flatSubmit { server.value.goDown(reason: "the facilitator ends") }.wait()
    try group.syncShutdownGracefully()
  }

  /// Hands over line by line what is read, until `execute` or the input says that it is enough.
  private static func obey(_ input: Descriptor, _ execute: (LineSplitter.Line) throws -> Bool) throws {
    try input.setNonBlocking(false)
    var splitter = LineSplitter()
    while let bytes = try input.read(upTo: 65_536), !bytes.isEmpty {
      for line in splitter.append(bytes) {
        guard try execute(line) else { return }
      }
    }
    if let line = splitter.finish() { _ = try execute(line) }
  }
}
