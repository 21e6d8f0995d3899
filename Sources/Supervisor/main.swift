// hordelink-supervisor: the hands. Starts and restarts everything else; the program that systemd runs.

import ArgumentParser
import Configuration
import Glibc
import Identity
import Journal
import Logging
import Messages
import Platform

struct SupervisorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hordelink-supervisor",
    abstract: "Runs hordelink in the foreground: the facilitator's jobs, and their reports back.",
    discussion: """
      SIGTERM and SIGINT stop it in order, a second one at once. Exit code 78 means that the configuration is \
      wrong, 75 that another one runs in the same state directory.
      """,
    version: hordelinkVersion)

  @Option(name: .long, help: "The configuration file.")
  var config = "/etc/hordelink/hordelink.toml"

  @Flag(name: .long, help: "Only look at the configuration and what it names; exit 78 when something is wrong.")
  var check = false

  func run() throws {
    let environment = ProcessTable.environment
    let settings: Configuration
    do {
      settings = try Configuration.load(path: config, environment: environment)
    } catch {
      throw wrong(error.problems)
    }
    let problems =
      ConfigurationCheck.problems(settings) + (check ? ConfigurationCheck.namedProblems(settings) : [])
    guard problems.isEmpty else { throw wrong(problems) }
    if check {
      let notes = [ConfigurationCheck.warning(settings)].compactMap(\.self) + ConfigurationCheck.remarks(settings)
      for note in notes { print("\(config): note: \(note)") }
      print("\(config): nothing is wrong")
      return
    }
    throw ArgumentParser.ExitCode(supervise(settings, environment))
  }

  private func wrong(_ problems: [Problem]) -> ArgumentParser.ExitCode {
    for problem in problems { check ? Terminal.complain("\(problem)") : Journal.lastWords("\(problem)") }
    return ArgumentParser.ExitCode(Messages.ExitCode.configuration)
  }

  private func supervise(_ settings: Configuration, _ environment: [String: String]) -> Int32 {
    do {
      blockSignals()
      // It makes the secret of Listeners, and holds passwords of the configuration.
      try Dumpable.off()
      // What is given for [dispatch] user is for its commands' start alone: Uplink and Listeners read what others send.
      try AmbientCapabilities.clear()
      var locks: [Descriptor] = []
      for (key, directory) in [
        ("state_directory", settings.stateDirectory), ("runtime_directory", settings.runtimeDirectory),
      ] {
        do throws(SystemError) {
          try Files.makeDirectory(directory, mode: 0o750)
        } catch {
          let text = "\(key): \(error); make it, for the user that the service runs as"
          Journal.lastWords("\(settings.problem(at: key, text))")
          return Messages.ExitCode.configuration
        }
        let lockFile = directory + "/supervisor.lock"
        switch try Files.lock(lockFile) {
        case .locked(let file): locks.append(file)
        case .held(let holder):
          Journal.lastWords(
            "\(lockFile): another Supervisor (pid \(holder)) runs in this directory; stop it first, "
              + "or give this one its own state_directory and runtime_directory")
          return Messages.ExitCode.temporary
        }
      }
      let journal = try Journal.start(program: "hordelink-supervisor")
      let logger = Logger(label: "supervisor")
      if let warning = ConfigurationCheck.warning(settings) { logger.warning("\(warning)") }
      for remark in ConfigurationCheck.remarks(settings) { logger.notice("\(remark)") }
      // No reason not to start: it may be on a disk that comes later, and jobs say it then.
      for problem in ConfigurationCheck.missingPrograms(settings) { logger.warning("\(problem)") }
      var generator = SystemRandomNumberGenerator()
      let runtime = try Runtime(
        configuration: settings, folder: try ProcessTable.ownFolder(), environment: environment,
        listenerSecret: try ListenerSecret(), logger: logger, seed: generator.next())
      let code = try withExtendedLifetime(locks) { () throws(SystemError) in try runtime.run() }
      journal.flush()
      return code
    } catch {
      Journal.lastWords("hordelink-supervisor: \(error)")
      return Messages.ExitCode.software
    }
  }

  /// They are taken from the loop, and SIGCHLD belongs to its child sources; a broken pipe is an error like others.
  private func blockSignals() {
    var blocked = sigset_t()
    sigemptyset(&blocked)
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] { sigaddset(&blocked, signal) }
    pthread_sigmask(SIG_BLOCK, &blocked, nil)
    signal(SIGPIPE, SIG_IGN)
  }
}

SupervisorCommand.main()
