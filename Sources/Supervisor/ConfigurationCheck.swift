import Configuration
import Facilitator
import Glibc
import Identity
import Messages
import Platform

extension Configuration {
  /// Whether the file has a secret in it.
  fileprivate var holdsPassword: Bool {
    [channel.redisURL, dispatch.brokerURL, dispatch.resultURL].contains { $0?.password != nil }
      || facilitator.proxy?.credentials != nil && lines["facilitator.proxy"] != nil
  }
}

extension Configuration {
  /// The file that commands must not read although they run as the service's user, to whom systemd gives the credential.
  /// nil where it is no credential, whose place a person chose, or where commands have a user of their own.
  var hiddenFile: String? { identity.isCredential && dispatch.user == nil ? identity.hotkeyFile : nil }

  /// Whether commands could read the hotkey.
  fileprivate var showsHotkey: Bool {
    let hasCommands = dispatch.kind == .command || Messages.Hook.allCases.contains { hooks[$0]?.command != nil }
    return hasCommands && dispatch.user == nil && (hiddenFile == nil || !SpawnRequest.canHideFiles)
  }
}

/// What can be wrong with a configuration beyond its text.
enum ConfigurationCheck {
  /// What is wrong with the values themselves: looked at before every start.
  static func problems(_ configuration: Configuration) -> [Problem] {
    var problems: [Problem] = []
    if lacksCredential(configuration) {
      // The unit starts without it, so that it is said here and not by an exit code of systemd's.
      problems.append(
        configuration.problem(
          at: "identity.hotkey_file",
          "identity.hotkey_file is not set, and the unit has been given no credential \"hotkey\": put the validator's "
            + "hotkey file at /etc/credstore/hotkey, that of hordelink@NAME at /etc/credstore/hotkey-NAME, or set "
            + "hotkey_file"))
    }
    for (index, address) in configuration.jobs.trustedSigners.enumerated() {
      do {
        _ = try PublicKey(ss58: address)
      } catch {
        problems.append(
          configuration.problem(
            at: "jobs.trusted_signers[\(index)]", "jobs.trusted_signers[\(index)]: \(error)"))
      }
    }
    if let user = configuration.dispatch.user {
      let entry: User?
      do {
        entry = try User(named: user)
      } catch {
        problems.append(configuration.problem(at: "dispatch.user", "dispatch.user: \(error)"))
        return problems
      }
      if entry == nil {
        problems.append(
          configuration.problem(
            at: "dispatch.user", "dispatch.user: there is no user \(user); create it or name another"))
      } else if !canChangeUser {
        problems.append(
          configuration.problem(
            at: "dispatch.user",
            "dispatch.user needs the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL: copy the drop-in "
              + "dispatch-user.conf to the unit (hordelink-supervisor(8)), or leave it out"))
      }
    }
    return problems
  }

  private static func lacksCredential(_ configuration: Configuration) -> Bool {
    configuration.identity.isCredential && access(configuration.identity.hotkeyFile, F_OK) != 0
  }

  /// Whether this process may run a command as another user and signal it (capabilities(7), CapEff in proc(5)).
  private static var canChangeUser: Bool {
    let status = (try? Files.read("/proc/self/status", limit: 65_536)) ?? []
    let line = status.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: "CapEff:".utf8) }
    let digits = String(decoding: line?.dropFirst(7).drop { $0 == UInt8(ascii: "\t") } ?? [], as: UTF8.self)
    // CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7.
    return (UInt64(digits, radix: 16) ?? 0) & 0xe0 == 0xe0
  }

  /// What is wrong with what the configuration names: `--check` looks at that too. At a start Uplink does, which
  /// alone holds the key.
  static func namedProblems(_ configuration: Configuration) -> [Problem] {
    var problems: [Problem] = []
    let file = configuration.identity.hotkeyFile
    do {
      let hotkey = try HotkeyFile.hotkey { try Files.read(file, into: $0) }
      if !hotkey.canSign {
        problems.append(
          configuration.problem(
            at: "identity.hotkey_file",
            "identity.hotkey_file: \(file) has no secret key; give the validator's own hotkey file"))
      }
    } catch {
      if !lacksCredential(configuration) {
        problems.append(configuration.problem(at: "identity.hotkey_file", "identity.hotkey_file: \(error)"))
      }
    }
    if let file = configuration.facilitator.caFile, access(file, R_OK) != 0 {
      problems.append(
        configuration.problem(
          at: "facilitator.ca_file", "facilitator.ca_file: \(SystemError("open", file))"))
    }
    problems += missingPrograms(configuration)
    return problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) }
  }

  /// The commands that are no programs which the service may run.
  static func missingPrograms(_ configuration: Configuration) -> [Problem] {
    var problems: [Problem] = []
    for (key, program) in [
      ("dispatch.command", configuration.dispatch.kind == .command ? configuration.dispatch.command.first : nil),
      ("hooks.on_status_update", configuration.hooks.onStatusUpdate?.command?.first),
      ("hooks.on_cheated", configuration.hooks.onCheated?.command?.first),
    ] {
      if let program, access(program, X_OK) != 0 {
        problems.append(
          configuration.problem(
            at: key, "\(key): \(SystemError("run", program)); give the path of an executable program"))
      }
    }
    return problems
  }

  /// What a command may do beyond its job; nil where it has a user of its own.
  static func warning(_ configuration: Configuration) -> String? {
    let runsCommands =
      configuration.dispatch.kind == .command || configuration.hooks.onStatusUpdate?.command != nil
      || configuration.hooks.onCheated?.command != nil
    guard runsCommands else { return nil }
    if let user = configuration.dispatch.user, (try? User(named: user))?.uid != geteuid() { return nil }
    return
      "the commands of jobs and hooks run as the service's own user, and can do to its files and processes what it "
      + "can itself: give them another, user = \"NAME\" under [dispatch] (hordelink.toml(5))"
  }

  /// What is not wrong and should be known.
  static func remarks(_ configuration: Configuration) -> [String] {
    var remarks: [String] = []
    if configuration.showsHotkey {
      remarks.append(
        "commands can read the hotkey, since they run as the service's own user: give it as the unit's credential "
          + "(on Linux 5.13 or later with Landlock, under NoNewPrivileges=yes), or set [dispatch] user")
    }
    if !configuration.jobs.verifySignatures {
      remarks.append("verify_signatures = false: anybody the facilitator lets through can run jobs here")
    }
    if configuration.dispatch.kind == .celery, configuration.channel.kind == .socket {
      remarks.append(
        "channel.kind = \"socket\": only workers on this machine can report; those on others need channel.kind = \"redis\""
      )
    }
    if configuration.holdsPassword, let mode = try? Files.mode(configuration.file), mode & 0o004 != 0 {
      remarks.append("\(configuration.file) holds a password and anybody on this machine can read it: chmod o-r")
    }
    let file = configuration.identity.hotkeyFile
    if let mode = try? Files.mode(file), let warning = HotkeyFile.warning(path: file, mode: mode) {
      remarks.append(warning)
    }
    if let listen = configuration.metrics?.listen, !listen.isLoopback {
      remarks.append("metrics.listen = \(listen): anybody who reaches it can read the figures; they name no job")
    }
    return remarks
  }
}
