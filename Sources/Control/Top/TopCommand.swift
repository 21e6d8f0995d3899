import ArgumentParser
import Platform
import WorkerClient

struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Shows connection, queue, rates, processes and jobs, again and again.",
    discussion: """
      q ends it. Rates and processor times are those since the picture before. Where standard output is no terminal, one \
      picture is printed, whole and without them; exit code 75 then means that Uplink does not answer. A service that \
      goes away meanwhile is waited for.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location

  @Option(name: .long, help: ArgumentHelp("Seconds between two pictures.", valueName: "seconds"))
  var interval = 1.0

  @Flag(name: .long, help: "Print one picture, and end.")
  var once = false

  func validate() throws {
    guard (0.1...3600).contains(interval) else { throw ValidationError("--interval is from 0.1 to 3600 seconds.") }
  }

  func run() throws {
    var isAnswered = true
    try reportingFailure { () throws(ControlFailure) in
      let directory = try location.resolve()
      // Whoever names the wrong service learns it at once.
      let first = try TopSample.take(directory)
      if !once, let screen = TerminalScreen() {
        watch(directory, from: first, on: screen)
      } else {
        print(TopFrame(first, since: nil).lines(width: .max, height: .max).joined(separator: "\n"))
        isAnswered = first.report?.uplink != nil
      }
    }
    if !isAnswered { throw ArgumentParser.ExitCode(ControlFailure.Kind.noAnswer.rawValue) }
  }

  private func watch(_ directory: String, from first: TopSample, on screen: TerminalScreen) {
    var sample = first
    var before: TopSample?
    while true {
      let next = Deadline.after(milliseconds: Int(interval * 1000))
      repeat {
        let (width, height) = screen.size
        screen.show(TopFrame(sample, since: before).lines(width: width, height: height))
        switch screen.wait(milliseconds: next.millisecondsLeft) {
        case .ended, .key(UInt8(ascii: "q")): return
        case .key, .resized, .timeUp: break
        }
      } while next.millisecondsLeft > 0
      before = sample.report == nil ? nil : sample
      do throws(ControlFailure) {
        sample = try TopSample.take(directory)
      } catch {
        sample = TopSample(failure: error.message)
      }
    }
  }
}
