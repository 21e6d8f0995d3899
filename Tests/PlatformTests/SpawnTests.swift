import Glibc
import Testing

@testable import Platform

@Suite struct SpawnTests {
  /// The numbers that are open in the shell itself, apart from what it has open to look.
  private let listDescriptors = """
    n=0; while [ $n -lt 300 ]; do [ -e /proc/$$/fd/$n ] && printf '%s ' $n; n=$((n + 1)); done
    """

  @Test func nothingIsInheritedButWhatIsNamed() throws {
    // Open here and not close-on-exec: a descriptor that someone else's code has made.
    let leaked = (0..<20).map { _ in Descriptor(owning: dup(0)) }
    #expect(leaked.allSatisfy { fcntl($0.number, F_GETFD) == 0 })
    #expect(try shell(listDescriptors) == "0 1 2 ")
    let two = [try Files.inMemory([], name: "a"), try Files.inMemory([], name: "b")]
    #expect(try shell(listDescriptors) { $0.descriptors = two } == "0 1 2 3 4 ")
  }

  @Test func descriptorsAreFoundInTheirOrder() throws {
    // As many as it takes for their own numbers to be among those they become, and in the reverse order.
    let files = try (0..<40).map { try Files.inMemory(Array("\($0) ".utf8), name: "\($0)") }
    let order = Array(files.reversed())
    #expect(
      order.indices.contains { (3..<43).contains(order[$0].number) && order[$0].number != Int32(3 + $0) })
    let output = try shell("n=3; while [ $n -lt 43 ]; do cat /proc/$$/fd/$n; n=$((n + 1)); done") {
      $0.descriptors = order
    }
    #expect(output == (0..<40).reversed().map { "\($0) " }.joined())
    // They are open here as before.
    for file in files { #expect(fcntl(file.number, F_GETFD) == FD_CLOEXEC) }
  }

  @Test func standardInputIsNullOrWhatIsNamed() throws {
    #expect(try shell("readlink /proc/$$/fd/0") == "/dev/null\n")
    let input = try Files.inMemory(Array("body".utf8), name: "input")
    #expect(try shell("cat") { $0.standardInput = input } == "body")
  }

  @Test func standardErrorIsWhatIsNamed() throws {
    let errors = try Files.inMemory([], name: "errors")
    let result = try run(["/bin/sh", "-c", "echo out; echo err >&2"]) { $0.standardError = errors }
    #expect(result.output == "out\n")
    #expect(lseek(errors.number, 0, SEEK_SET) == 0)
    #expect(try errors.read(upTo: 100) == Array("err\n".utf8))
  }

  @Test func theEnvironmentAndTheArgumentsAreExactlyThose() throws {
    setenv("NOTIFY_SOCKET", "/run/not/for/children", 1)
    defer { unsetenv("NOTIFY_SOCKET") }
    #expect(try run(["/usr/bin/env"], environment: ["B=2", "A=1", "C=é="]).output == "B=2\nA=1\nC=é=\n")
    #expect(try run(["/usr/bin/env"], environment: []).output.isEmpty)
    #expect(
      try run(["/bin/sh", "-c", "for a in \"$@\"; do echo \"[$a]\"; done", "sh", "", "a b", "é", "*"]).output
        == "[]\n[a b]\n[é]\n[*]\n")
  }

  @Test func signalsAreAsAtTheStartOfASession() throws {
    var blocked = sigset_t()
    var before = sigset_t()
    sigemptyset(&blocked)
    for signal in [SIGUSR1, SIGTERM, SIGCHLD] { sigaddset(&blocked, signal) }
    let ignored = signal(SIGUSR2, SIG_IGN)
    pthread_sigmask(SIG_BLOCK, &blocked, &before)
    let result = Result { try run(["/bin/cat", "/proc/self/status"]).output }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    signal(SIGUSR2, ignored)
    // Signals 32 and 33 are glibc's own; its posix_spawn ignores them in every new process.
    let own: UInt64 = 0b11 << 31
    for line in try result.get().split(separator: "\n") {
      let parts = line.split(separator: "\t")
      guard ["SigBlk:", "SigIgn:", "SigCgt:"].contains(parts[0]) else { continue }
      #expect(UInt64(parts[1], radix: 16).map { $0 & ~own } == 0, "\(line)")
    }
    #expect(try result.get().contains("SigIgn:"))
  }

  @Test(arguments: [true, false]) func theSessionIsItsOwnWhereAskedFor(_ newSession: Bool) throws {
    let result = try run(["/bin/sh", "-c", "cat /proc/$$/stat"]) { $0.newSession = newSession }
    let fields = result.output.split(separator: " ")
    let (pid, group, session) = (Int32(fields[0]), Int32(fields[4]), Int32(fields[5]))
    #expect(pid == result.pid)
    #expect(group == (newSession ? result.pid : getpgrp()))
    #expect(session == (newSession ? result.pid : getsid(0)))
  }

  @Test func theWorkingDirectoryIsTheOneNamed() throws {
    #expect(try shell("pwd -P") { $0.workingDirectory = "/proc/sys" } == "/proc/sys\n")
    let error = refusal { () throws(SystemError) in
      var request = SpawnRequest(executable: "/bin/true", arguments: ["true"], environment: [])
      request.workingDirectory = "/nonexistent/directory"
      return try request.spawn()
    }
    #expect(error?.code == ENOENT)
  }

  @Test func aProgramThatIsNotThereIsAnErrorThatNamesIt() throws {
    let directory = try TemporaryDirectory()
    let plain = directory.file("plain")
    try Files.write(plain, "no program")
    for (path, code) in [("/nonexistent/program", ENOENT), (plain, EACCES), (directory.path, EACCES)] {
      let error = refusal { () throws(SystemError) in
        try SpawnRequest(executable: path, arguments: [path], environment: []).spawn()
      }
      #expect(error?.code == code, "\(path)")
      #expect(error?.description.contains(path) == true)
    }
  }

  @Test func aHundredInstantExitsAreEachReapedByTheirPid() throws {
    var pids: [pid_t] = []
    for number in 0..<100 {
      let arguments = ["/bin/sh", "-c", "exit \(number)"]
      pids.append(try SpawnRequest(executable: "/bin/sh", arguments: arguments, environment: []).spawn())
    }
    #expect(Set(pids).count == 100)
    // In another order than they came in.
    for number in (0..<100).reversed() { #expect(try reap(pids[number]) == .code(Int32(number))) }
    for pid in pids { #expect(waitpid(pid, nil, WNOHANG) == -1 && errno == ECHILD) }
  }

  @Test func aHundredSpawnsAtOnceShareNothing() async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for number in 0..<100 {
        group.addTask {
          let file = try Files.inMemory(Array("\(number)".utf8), name: "n")
          return try shell("cat <&3; [ -e /proc/$$/fd/4 ] && echo leak") { $0.descriptors = [file] }
            == "\(number)"
        }
      }
      for try await alone in group { #expect(alone) }
    }
  }

  @Test func aGroupIsSignalledAsAWhole() throws {
    var pipe: (reading: Descriptor, writing: Descriptor)? = try Files.pipe()
    let reading = try #require(pipe?.reading)
    var request = SpawnRequest(
      executable: "/bin/sh", arguments: ["sh", "-c", "sleep 1000 & echo up; wait"], environment: ["PATH=/bin"]
    )
    request.newSession = true
    request.standardOutput = pipe?.writing
    let pid = try request.spawn()
    pipe = nil
    request.standardOutput = nil
    try reading.setNonBlocking(false)
    #expect(try reading.read(upTo: 10) == Array("up\n".utf8))
    #expect(ProcessTable.signalGroup(pid, SIGKILL))
    // End of file comes once the grandchild, which holds the pipe too, has gone.
    #expect(try reading.read(upTo: 10) == [])
    #expect(try reap(pid) == .signal(SIGKILL))
    #expect(!ProcessTable.signal(pid, 0))
  }

  @Test func signalsToEverybodyAreNotSent() {
    for pid: pid_t in [-1, 0, 1] {
      #expect(!ProcessTable.signal(pid, 0))
      #expect(!ProcessTable.signalGroup(pid, 0))
    }
  }
}
