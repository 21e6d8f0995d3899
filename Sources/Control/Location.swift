import ArgumentParser
import Configuration
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
    return try Self.configuration(config, environment).runtimeDirectory
  }

  /// The service's configuration.
  static func configuration(
    _ file: String?, _ environment: [String: String] = ProcessTable.environment
  ) throws(ControlFailure) -> Configuration {
    // Where the sockets are depends on these alone. The rest of the service's environment is not ours: what a person's
    // shell says about a proxy is no fault of the configuration, and neither is a credential that only systemd hands out.
    let known = [
      "RUNTIME_DIRECTORY": environment["RUNTIME_DIRECTORY"],
      "STATE_DIRECTORY": environment["STATE_DIRECTORY"],
      "CREDENTIALS_DIRECTORY": "/run/credentials/hordelink.service",
    ].compactMapValues(\.self)
    do throws(ConfigurationError) {
      return try Configuration.load(path: file ?? defaultConfiguration, environment: known)
    } catch {
      throw ControlFailure(.configuration, error.description)
    }
  }
}
