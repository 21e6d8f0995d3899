import Glibc
import Platform
import Rehearsal
import Testing

/// The package in the hands of apt, in a Debian of its own that is made for it and removed again. Where none can be made,
/// this is skipped and the reason is printed.
@Suite struct PackageTests {
  @Test func aptInstallsUpgradesRemovesAndPurges() throws {
    let folder = try Rehearsal.makeFolder("debian-")
    defer { _ = try? Command.run(["/bin/rm", "-rf", "--one-file-system", folder]) }
    let tree = folder + "/tree"
    guard geteuid() == 0, access("/usr/bin/mmdebstrap", X_OK) == 0 else {
      print("skipped: apt's handling of the package: it takes root and mmdebstrap")
      return
    }
    let packages = "systemd,libhiredis0.14,libmsgpackc2,libsodium23,libsqlite3-0,libsystemd0,libstdc++6,ca-certificates"
    let made = try Command.run(
      ["/usr/bin/mmdebstrap", "--variant=apt", "--quiet", "--include=\(packages)", "bookworm", tree],
      milliseconds: 300_000)
    guard made.code == 0 else {
      print("skipped: apt's handling of the package: no Debian can be made here: \(made.text)")
      return
    }
    let package = try Machine.pack(into: folder)
    _ = try Command.run(["/bin/cp", package, tree + "/hordelink.deb"]).checked()
    func inside(_ words: String...) throws -> Machine.Result {
      try Command.run(
        [
          // A /proc that goes away with the command.
          "/usr/bin/unshare", "--mount", "--pid", "--fork", "--mount-proc=\(tree)/proc", "/usr/sbin/chroot", tree,
          "/usr/bin/env", "DEBIAN_FRONTEND=noninteractive",
        ] + words, milliseconds: 120_000)
    }
    let configuration = tree + "/etc/hordelink/hordelink.toml"

    _ = try inside("apt-get", "install", "--yes", "./hordelink.deb").checked()
    #expect(try inside("stat", "--format=%U:%G %a", "/etc/hordelink/hordelink.toml").text == "root:hordelink 640\n")
    #expect(access(tree + "/etc/systemd/system/multi-user.target.wants/hordelink.service", F_OK) != 0)
    let check = try inside("hordelink-supervisor", "--check")
    #expect(check.code == 78 && check.text.contains("/etc/hordelink/hordelink.toml:"), "\(check.text)")
    // Programs that need nothing that is not Debian's.
    #expect(try inside("hordelinkctl", "--help").code == 0)

    // An upgrade leaves what a person has written, and dpkg has nothing to ask about it.
    #expect(try inside("dpkg-query", "--show", "--showformat=${Conffiles}", "hordelink").text == "")
    try Rehearsal.write(Array("# mine\n".utf8), to: configuration, mode: 0o640)
    _ = try inside("apt-get", "install", "--yes", "--reinstall", "./hordelink.deb").checked()
    #expect(try Files.read(configuration, limit: 1000) == Array("# mine\n".utf8))
    _ = try inside("mkdir", "-p", "/var/lib/hordelink").checked()

    _ = try inside("apt-get", "remove", "--yes", "hordelink").checked()
    #expect(access(tree + "/usr/lib/hordelink", F_OK) != 0)
    #expect(access(configuration, F_OK) == 0 && access(tree + "/var/lib/hordelink", F_OK) == 0)
    _ = try inside("apt-get", "purge", "--yes", "hordelink").checked()
    #expect(access(configuration, F_OK) != 0 && access(tree + "/var/lib/hordelink", F_OK) != 0)
  }
}
