import ArgumentParser
import Store

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Writes a consistent copy of the record, while the service runs or not.",
    discussion: """
      To restore it: stop the service, put the copy in the place of hordelink.db, owned by the service's user, remove \
      hordelink.db-wal and hordelink.db-shm, and start the service. The jobs that were open when the copy was made end \
      as horde_failed then: they may have run since, and are not started again.

      \(ControlFailure.help)
      """)

  // Its --config is the one that hordelinkctl itself has too: a second one here would never be given anything.
  @OptionGroup var location: Location

  @Option(
    name: .long,
    help: ArgumentHelp("The service's state directory itself; no configuration is read.", valueName: "dir"))
  var stateDirectory: String?

  @Argument(help: ArgumentHelp("Where the copy goes. There must be no such file.", valueName: "file"))
  var file: String

  func validate() throws {
    guard location.runtimeDirectory == nil else {
      throw ValidationError("The record is in the state directory: give --state-directory or --config.")
    }
    guard location.config == nil || stateDirectory == nil else {
      throw ValidationError("--config and --state-directory say the same thing twice: give one of them.")
    }
  }

  func run() throws {
    try reportingFailure { () throws(ControlFailure) in
      let directory: String
      if let stateDirectory {
        directory = stateDirectory
      } else {
        directory = try Location.directories(location.config).state
      }
      do throws(StoreError) {
        try Backup.write(of: directory + "/hordelink.db", to: file)
      } catch {
        throw ControlFailure(.file, error.description)
      }
      print("\(file) holds the record of \(directory)")
    }
  }
}
