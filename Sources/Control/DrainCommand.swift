import ArgumentParser
import Glibc
import Messages

struct DrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain", abstract: "Refuses new jobs, and waits until the open ones have ended.",
    discussion: """
      New jobs are rejected as busy until --cancel or a restart of the service, also when this command is ended before \
      it is done. What the jobs have reported goes on to the facilitator as always.

      \(ControlFailure.help)
      """)

  @OptionGroup var location: Location

  @Flag(name: .long, help: "Take new jobs again.")
  var cancel = false

  @Flag(name: .long, help: "Do not wait.")
  var noWait = false

  func run() throws {
    try reportingFailure { () throws(ControlFailure) in
      let directory = try location.resolve()
      var left: Int?
      var query = UplinkQuery.drain(!cancel)
      while true {
        let uplink = try Question.ask(query, in: directory).uplink
        if cancel {
          print("new jobs are taken again")
          return
        }
        if query == .status, uplink?.state.draining == false {
          throw ControlFailure(
            .refused, "new jobs are taken again: by drain --cancel, or because the service was restarted")
        }
        query = .status
        if let open = uplink?.state.openJobs, open != left {
          left = open
          print("no new jobs are taken; \(open == 0 ? "none is" : open == 1 ? "1 is" : "\(open) are") open")
          // Also where it is read by a program that waits for the end.
          fflush(nil)
        }
        if noWait || left == 0 && uplink != nil { return }
        // What is waited for is only known to who asks.
        Glibc.sleep(1)
      }
    }
  }
}
