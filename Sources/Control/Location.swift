import ArgumentParser
import Configuration
import Glibc
import Platform

/// Which hordelink is meant.
struct Location: ParsableArguments {
  static let defaultConfiguration = "/etc/hordelink/hordelink.toml"

  @Option(
    name: .long,
    help: ArgumentHelp(
      "The service's configuration, for its runtime directory. (default: \(defaultConfiguration))",
      valueName: "file"))
  var config: String?

  @Option(
    name: .long,
    help: ArgumentHelp("The service's runtime directory itself; no configuration is read.", valueName: "dir"))
  var runtimeDirectory: String?

  func validate() throws {
    guard config == nil || runtimeDirectory == nil else {
      throw ValidationError("--config and --runtime-directory say the same thing twice: give one of them.")
    }
    guard runtimeDirectory != "" else { throw ValidationError("--runtime-directory must not be empty.") }
  }

  /// The directory that the service's sockets are in.
  func resolve(environment: [String: String] = ProcessTable.environment) throws(ControlFailure) -> String {
    if let runtimeDirectory { return runtimeDirectory }
    return try Self.directories(config, environment).runtime
  }

  /// Where the service with this configuration has its record and its sockets.
  static func directories(
    _ file: String?, _ environment: [String: String] = ProcessTable.environment
  ) throws(ControlFailure) -> (state: String, runtime: String) {
    let file = file ?? defaultConfiguration
    // What systemd passes to that service. The rest of the environment is not ours.
    var known = systemdsDirectories(file)
    for name in ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"] { known[name] = environment[name] ?? known[name] }
    guard access(file, R_OK) == 0 || errno != EACCES else {
      throw ControlFailure(.noPermission, "\(file): permission denied: run hordelinkctl as root")
    }
    do throws(ConfigurationError) {
      return try Configuration.directories(path: file, environment: known)
    } catch {
      throw ControlFailure(.configuration, error.description)
    }
  }

  /// hordelink@NAME.service is started with NAME.toml, and with directories of its own.
  static func systemdsDirectories(_ file: String) -> [String: String] {
    let folder = "/etc/hordelink/"
    guard file != defaultConfiguration, file.hasPrefix(folder), file.hasSuffix(".toml") else { return [:] }
    let name = file.dropFirst(folder.count).dropLast(".toml".count)
    guard !name.isEmpty, !name.contains("/") else { return [:] }
    return ["RUNTIME_DIRECTORY": "/run/hordelink-\(name)", "STATE_DIRECTORY": "/var/lib/hordelink-\(name)"]
  }
}
