import Glibc
import Messages
import Platform
import Rehearsal
import TestSupport
import WorkerClient

/// A machine with a systemd of its own: systemd-nspawn over this one's /usr, in which the package is unpacked. All else of
/// it is in memory, and nothing is left when it has ended.
/// The tests of its suite use it one after the other, which is what makes it safe to hand from one to the next.
final class Machine: @unchecked Sendable {
  struct Unavailable: Error, CustomStringConvertible { var description: String }

  /// What a command printed, stderr too, and how it ended.
  struct Result {
    var code: Int32
    var text: String
  }

  private let folder: String
  private let name: String
  private let container: RunningProcess
  /// Its first process, as it is numbered here.
  let leader: pid_t

  /// Packs the programs, boots, and installs the package.
  /// - Throws: `Unavailable` where there can be no such machine.
  init() throws {
    guard geteuid() == 0 else { throw Unavailable(description: "systemd-nspawn needs root") }
    for program in ["systemd-nspawn", "nsenter", "dpkg-deb", "dpkg-shlibdeps"]
    where access("/usr/bin/" + program, X_OK) != 0 {
      throw Unavailable(description: "\(program) is not there: install systemd-container, util-linux, dpkg-dev")
    }
    let folder = try Rehearsal.makeFolder("systemd-")
    self.folder = folder
    let name = "hordelink-\(getpid())"
    self.name = name
    let package = try Self.pack(into: folder)
    _ = try Command.run(["/usr/bin/dpkg-deb", "--extract", package, folder + "/tree"]).checked()
    // An empty /etc has everything enabled, and this is to be started by the tests.
    let presets = folder + "/tree/usr/lib/systemd/system-preset"
    _ = try Command.run(["/bin/mkdir", "-p", presets]).checked()
    try Rehearsal.write(Array("disable hordelink*\n".utf8), to: presets + "/00-test.preset", mode: 0o644)
    _ = try Command.run(["/usr/bin/dpkg-deb", "--control", package, folder + "/control"]).checked()

    let console = open(folder + "/console", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard console >= 0 else { throw SystemError("open", folder + "/console") }
    let output = Descriptor(owning: console)
    let arguments = [
      "/bin/sh", "-c", Self.inControlGroup(name), "sh",
      "/usr/bin/systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--volatile=yes", "--directory=/",
      "--private-network", "--system-call-filter=\(Self.landlock)", "--boot", "--console=pipe", "--machine=\(name)",
      "--overlay-ro=/usr:\(folder)/tree/usr:/usr", "--bind-ro=\(folder)/control:/run/control",
      // No network comes up on the loopback interface alone.
      "systemd.mask=systemd-networkd-wait-online.service",
    ]
    var request = SpawnRequest(
      executable: arguments[0], arguments: arguments, environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
    request.newSession = true
    request.standardOutput = output
    request.standardError = output
    container = try RunningProcess(pid: try request.spawn())
    do {
      leader = try Self.waitForLeader(of: container)
      try waitUntilBooted()
      try install()
    } catch {
      let said = (try? Files.read(folder + "/console", limit: 1 << 20)) ?? []
      container.signal(SIGKILL)
      _ = try? container.wait(milliseconds: 5000)
      throw Unavailable(description: "no systemd boots here: \(error)\n\(String(decoding: said, as: UTF8.self))")
    }
  }

  /// The package of the programs that were built with the tests; or the one that HORDELINK_PACKAGE names.
  static func pack(into folder: String) throws -> String {
    if let package = ProcessTable.environment["HORDELINK_PACKAGE"] { return package }
    let programs = try ProcessTable.ownFolder()
    let made = try Command.run(
      ["/usr/bin/env", "BUILD=\(programs)", repositoryRoot + "/script/make-deb", folder], milliseconds: 300_000
    ).checked()
    guard let package = made.split(separator: "\n").last else { throw RehearsalError("no package: \(made)") }
    return String(package)
  }

  /// Its systemd takes the control group it is started in for the root of all: two in one would remove each other's.
  private static func inControlGroup(_ name: String) -> String {
    """
    for h in /sys/fs/cgroup /sys/fs/cgroup/*; do
      [ -f "$h/cgroup.procs" ] && mkdir "$h/\(name)" && echo $$ >"$h/\(name)/cgroup.procs"
    done 2>/dev/null
    exec "$@"
    """
  }

  private static func waitForLeader(of container: RunningProcess) throws -> pid_t {
    let children = "/proc/\(container.pid)/task/\(container.pid)/children"
    let deadline = Deadline.after(milliseconds: 20_000)
    while deadline.millisecondsLeft > 0 {
      let text = String(decoding: (try? Files.read(children, limit: 4096)) ?? [], as: UTF8.self)
      if let leader = text.split(separator: " ").first.flatMap({ pid_t($0) }) { return leader }
      if let ending = try container.wait(milliseconds: 50) {
        throw RehearsalError("systemd-nspawn has ended: \(ending)")
      }
    }
    throw RehearsalError("systemd-nspawn starts nothing")
  }

  /// System calls that systemd-nspawn keeps from a machine unless it is told otherwise, and that hordelink uses.
  private static let landlock = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"

  private func waitUntilBooted() throws {
    try until("booted") {
      // A unit of the distribution that fails in a machine without disks is nothing to us.
      return try ["running\n", "degraded\n"].contains(run("systemctl", "is-system-running").text)
    }
  }

  /// What dpkg would do with an unpacked package; it has no database here.
  private func install() throws {
    _ = try run("sh", "/run/control/postinst", "configure", "").checked()
    // systemd's own package does this on dpkg's trigger.
    _ = try run("journalctl", "--update-catalog").checked()
  }

  /// Runs a command inside, as root.
  @discardableResult
  func run(_ words: String..., milliseconds: Int = 120_000) throws -> Result {
    try Command.run(
      ["/usr/bin/nsenter", "--target=\(leader)", "--all", "--wd=/", "/usr/bin/env"] + words, milliseconds: milliseconds)
  }

  /// Where a path of its own is seen from here.
  func outside(_ path: String) -> String { "/proc/\(leader)/root\(path)" }

  func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    try Rehearsal.write(Array(text.utf8), to: outside(path), mode: mode)
  }

  /// Waits until it is so, for a minute; asks a few times a second, since nothing announces it.
  func until(_ what: String, _ isSo: () throws -> Bool) throws {
    let deadline = Deadline.after(milliseconds: 60_000)
    while try !isSo() {
      guard deadline.millisecondsLeft > 0 else { throw RehearsalError("after a minute it is not so: \(what)") }
      usleep(100_000)
    }
  }

  /// Powers it off, and removes what there was of it.
  func end() {
    _ = try? run("systemctl", "poweroff", "--force", "--no-block", milliseconds: 10_000)
    if (try? container.wait(milliseconds: 15_000)) == nil {
      container.signal(SIGKILL)
      _ = try? container.wait(milliseconds: 5000)
    }
    _ = try? Command.run(["/bin/rm", "-rf", folder])
    _ = try? Command.run(
      [
        "/usr/bin/find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/\(name)*", "-exec", "/bin/rmdir", "{}",
        "+",
      ])
  }
}

extension Machine.Result {
  /// What it printed, if it exited with 0.
  func checked() throws -> String {
    guard code == 0 else { throw RehearsalError("exit code \(code): \(text)") }
    return text
  }
}

/// A command of this machine.
enum Command {
  static func run(_ words: [String], milliseconds: Int = 60_000) throws -> Machine.Result {
    let pipe = try Files.pipe()
    var request = SpawnRequest(
      executable: words[0], arguments: words,
      environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"])
    request.standardOutput = pipe.writing
    request.standardError = pipe.writing
    let process = try RunningProcess(pid: try request.spawn())
    // Ours would keep it from ending.
    let reading = pipe.reading
    var text: [UInt8] = []
    let deadline = Deadline.after(milliseconds: milliseconds)
    while deadline.millisecondsLeft > 0 {
      let ending = try process.wait(milliseconds: 0)
      while let bytes = try reading.read(upTo: 65_536), !bytes.isEmpty { text += bytes }
      if let ending {
        return Machine.Result(
          code: ending.code ?? 128 + (ending.signal ?? 0), text: String(decoding: text, as: UTF8.self))
      }
      _ = try Waiting.readable([reading], milliseconds: 20)
    }
    process.signal(SIGKILL)
    _ = try process.wait(milliseconds: 5000)
    throw RehearsalError("it does not end: \(words.joined(separator: " ")): \(String(decoding: text, as: UTF8.self))")
  }
}
