import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing

/// A process that cannot be read: it waits in the kernel and holds its address space, as with a dead file system in the network.
@Suite(.enabled(if: geteuid() == 0 && access("/dev/fuse", F_OK) == 0, "mounts a file system"))
struct UnreadableTests {
  /// Serves a file of which nothing is ever answered. Source: fuse(4), linux/fuse.h.
  private static let server = """
    import ctypes, os, struct, sys
    folder = sys.argv[1]
    fuse = os.open("/dev/fuse", os.O_RDWR)
    os.mkdir(folder + "/mount")
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"silent", (folder + "/mount").encode(), b"fuse", 0, options) != 0:
        sys.exit("mount: " + os.strerror(ctypes.get_errno()))
    INIT, LOOKUP, GETATTR, OPEN, READ = 26, 1, 3, 14, 15
    file = struct.pack("<6Q10I", 2, 1 << 20, 0, 0, 0, 0, 0, 0, 0, 0o100400, 1, 0, 0, 0, 4096, 0)
    answers = {
        INIT: struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, *[0] * 8),
        LOOKUP: struct.pack("<4Q2I", 2, 1, 60, 60, 0, 0) + file,
        GETATTR: struct.pack("<Q2I", 60, 0, 0) + file,
        OPEN: struct.pack("<Q2I", 1, 0, 0),
    }
    open(folder + "/mounted", "w").close()
    while True:
        request = os.read(fuse, 1 << 20)
        kind, number = struct.unpack_from("<IQ", request, 4)
        if kind in answers:
            os.write(fuse, struct.pack("<IiQ", 16 + len(answers[kind]), 0, number) + answers[kind])
        if kind == OPEN:
            # Whoever opens it next maps it past the cache (FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE), and has to wait for what is read.
            answers[OPEN] = struct.pack("<Q2I", 1, 3, 0)
        if kind == READ:
            open(folder + "/reading", "w").close()
    """

  /// Jobs that begin with 1 stay, those with 2 leave such a process behind and end once it cannot be read.
  private static let script = """
    import ctypes, os, sys, threading, time
    folder, job = sys.argv[1], os.environ["HORDELINK_JOB_UUID"]
    if job[0] == "1":
        time.sleep(3600)
    if job[0] != "2":
        sys.exit(0)
    pid = os.fork()
    if pid == 0:
        for number in (0, 1, 2):
            os.dup2(os.open("/dev/null", os.O_RDWR), number)
        os.setsid()
        first = os.open(folder + "/mount/file", os.O_RDONLY)
        threading.Thread(target=os.pread, args=(first, 1, 0), daemon=True).start()
        while not os.path.exists(folder + "/reading"):
            time.sleep(0.01)
        # PROT_READ, MAP_PRIVATE: mmap(2) waits, and nobody else gets at this address space.
        ctypes.CDLL(None).mmap(None, 4096, 1, 2, os.open(folder + "/mount/file", os.O_RDONLY), 0)
        os._exit(1)
    while open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "D":
        time.sleep(0.01)
    with open(folder + "/stuck", "w") as file:
        file.write(str(pid))
    """

  private func job(_ digit: String) throws -> JobID {
    try #require(JobID(digit + JobID.random().description.dropFirst()))
  }

  @Test func aProcessThatCannotBeReadHoldsUpNobody() throws {
    let folder = try Rehearsal.makeFolder("silent-")
    defer {
      umount2(folder + "/mount", Int32(MNT_DETACH))
      Rehearsal.removeTree(folder)
    }
    let words = ["/usr/bin/env", "python3", "-c", Self.server, folder]
    let path = "PATH=\(ProcessTable.environment["PATH"] ?? "")"
    let request = SpawnRequest(executable: words[0], arguments: words, environment: [path])
    let server = try RunningProcess(pid: try request.spawn())
    defer {
      server.signal(SIGKILL)
      _ = try? server.wait(milliseconds: 5000)
    }
    try onStage { settings in
      settings.commandIsLauncher = false
      settings.command = ["/usr/bin/env", "python3", "-c", Self.script, folder]
    } _: { rehearsal in
      try rehearsal.until("file system") { _, _ in access(folder + "/mounted", F_OK) == 0 }
      let staying = try job("1")
      try rehearsal.facilitator.sendJob(staying)
      let command = try rehearsal.runningCommand(staying)
      for next in [try job("2"), try job("3")] {
        try rehearsal.facilitator.sendJob(next)
        try rehearsal.expectAccepted(next, [.received, .hordeFailed])
      }
      let text = String(decoding: try Files.read(folder + "/stuck", limit: 100), as: UTF8.self)
      let stuck = try #require(pid_t(text))
      #expect(ProcessTable.isRunning(stuck))
      // Nothing names its job: it is ended with the last command that it may belong to.
      ProcessTable.signalGroup(command, SIGKILL)
      try rehearsal.expectAccepted(staying, [.received, .hordeFailed])
      try rehearsal.expectLog("it is still there, killed")
      server.signal(SIGKILL)
      try rehearsal.until("end of the process") { _, _ in ProcessTable.startTime(of: stuck) == nil }
    }
  }
}
