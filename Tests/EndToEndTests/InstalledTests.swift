import Glibc
import Platform
import Rehearsal
import Stage
import Testing

extension EndToEnd {
  /// The programs as `make install` puts them there.
  @Suite(.enabled(if: geteuid() == 0, "becomes another user")) struct Installed {
    /// Starts each program as nobody and stops it before its first instruction; then another process of that user tries to open
    /// its memory.
    private static let script = """
      import ctypes, os, signal, sys
      libc = ctypes.CDLL(None)
      def become_nobody():
          os.setgroups([]); os.setgid(65534); os.setuid(65534)
      def look(program):
          child = os.fork()
          if child == 0:
              become_nobody()
              libc.ptrace(0, 0, None, None)  # PTRACE_TRACEME
              os.execv(program, [program])
          if not os.WIFSTOPPED(os.waitpid(child, 0)[1]):
              return "not started"
          other = os.fork()
          if other == 0:
              become_nobody()
              try:
                  os.open("/proc/%d/mem" % child, os.O_RDONLY)
              except PermissionError:
                  os._exit(0)
              os._exit(1)
          status = os.waitpid(other, 0)[1]
          os.kill(child, signal.SIGKILL)
          os.waitpid(child, 0)
          return "closed" if status == 0 else "open"
      for program in sys.argv[1:]:
          print(os.path.basename(program), look(program))
      """

    @Test func itsOwnUserCannotOpenAProgramFromItsStart() throws {
      let folder = try Rehearsal.makeFolder("installed-")
      defer { Rehearsal.removeTree(folder) }
      chmod(folder, 0o755)
      let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
      let install = try output([
        "/usr/bin/make", "--silent", "-C", root, "install", "PREFIX=/usr", "DESTDIR=\(folder)",
        "BUILD=\(try ProcessTable.ownFolder())",
      ])
      let closed = ["hordelink-supervisor", "hordelink-uplink", "hordelink-listener", "hordelink-dispatch-celery"]
      let programs = closed + ["hordelinkctl"]
      let paths = programs.map { "\(folder)/usr/lib/hordelink/\($0)" }
      let looks = try output(["/usr/bin/env", "python3", "-c", Self.script] + paths)
      // hordelinkctl has nothing to hide, and shows that the others would be open. Yama closes all of them.
      let yama = (try? Files.read("/proc/sys/kernel/yama/ptrace_scope", limit: 100)) ?? Array("0".utf8)
      let control = yama.first == UInt8(ascii: "0") ? "open" : "closed"
      let expected = closed.map { "\($0) closed\n" }.joined() + "hordelinkctl \(control)\n"
      #expect(looks == expected, "\(install)")
    }

    private func output(_ words: [String]) throws -> String {
      let (reading, writing) = try Files.pipe()
      var request = SpawnRequest(
        executable: words[0], arguments: words, environment: ["PATH=\(ProcessTable.environment["PATH"] ?? "")"])
      request.standardOutput = writing
      let process = try RunningProcess(pid: try request.spawn())
      _ = try process.wait(milliseconds: 60_000)
      return String(decoding: try reading.read(upTo: 1 << 16) ?? [], as: UTF8.self)
    }
  }
}
