import Foundation
import Glibc
import Testing

@testable import Platform

extension Files {
  static func write(_ path: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }
}

@Suite struct FilesTests {
  @Test func aFileIsReadIntoMemoryOfTheCallersWhereItFits() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("f")
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
    defer { memory.deallocate() }
    for text in ["", "abc", "abcd"] {
      try Files.write(path, text)
      let count = try Files.read(path, into: memory)
      #expect(Array(memory[..<count]) == Array(text.utf8))
    }
    try Files.write(path, "abcde")
    #expect(refusal { () throws(SystemError) in try Files.read(path, into: memory) }?.code == Files.tooLarge)
    #expect(refusal { () throws(SystemError) in try Files.read(directory.file("none"), into: memory) }?.code == ENOENT)
  }

  @Test func theSecondHolderIsToldTheFirst() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("lock")
    // A longer pid of an earlier holder leaves nothing behind.
    try Files.write(path, "12345678901234567890\n")
    guard case .locked(let held) = try Files.lock(path) else {
      Issue.record("not locked")
      return
    }
    #expect(try Files.read(path, limit: 100).starts(with: "\(getpid())\n".utf8))
    guard case .held(let holder) = try Files.lock(path), holder.pid == getpid(),
      holder.startTime == ProcessTable.startTime(of: getpid()), try holder.bootID == Clock.bootID()
    else {
      Issue.record("locked twice")
      return
    }
    // Another process does not get it either.
    #expect(try run(["/usr/bin/flock", "--nonblock", path, "/bin/true"]).ending == .code(1))
    withExtendedLifetime(held) {}
  }

  @Test func theLockGoesWithItsHolder() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("lock")
    for _ in 0..<3 {
      #expect(
        try eventually { if case .locked = try Files.lock(path) { true } else { false } })
    }
    #expect(
      try eventually { try run(["/usr/bin/flock", "--nonblock", path, "/bin/true"]).ending == .code(0) })
  }

  @Test func anotherProcesssLockIsRespected() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("lock")
    try Files.write(path, "4242\n")
    var output: (reading: Descriptor, writing: Descriptor)? = try Files.pipe()
    var input: (reading: Descriptor, writing: Descriptor)? = try Files.pipe()
    let reading = try #require(output?.reading)
    var request = SpawnRequest(
      executable: "/usr/bin/flock", arguments: ["flock", path, "/bin/sh", "-c", "echo up; read line"],
      environment: ["PATH=/bin"])
    try input?.reading.setNonBlocking(false)
    request.standardOutput = output?.writing
    request.standardInput = input?.reading
    let pid = try request.spawn()
    output = nil
    try reading.setNonBlocking(false)
    #expect(try reading.read(upTo: 10) == Array("up\n".utf8))
    guard case .held(let holder) = try Files.lock(path), holder.pid == 4242, holder.startTime == nil else {
      Issue.record("locked twice")
      return
    }
    // What is refused leaves the holder's pid as it was.
    #expect(try Files.read(path, limit: 100) == Array("4242\n".utf8))
    request.standardInput = nil
    input = nil
    _ = try reap(pid)
    guard case .locked = try Files.lock(path) else {
      Issue.record("still locked")
      return
    }
  }

  @Test func aLockThatCannotBeMadeIsNamed() {
    let error = refusal { () throws(SystemError) in try Files.lock("/nonexistent/lock") }
    #expect(error == SystemError("open", "/nonexistent/lock", code: ENOENT))
    #expect(error?.description == "open /nonexistent/lock: No such file or directory")
  }

  @Test(arguments: [0, 1, 65_536, 3_000_001]) func anAnonymousFileIsReadFromItsStart(_ count: Int) throws {
    let content = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let file = try Files.inMemory(content, name: "body")
    #expect(fcntl(file.number, F_GETFD) == FD_CLOEXEC)
    #expect(
      try shell("wc -c") { $0.standardInput = file }.trimmingCharacters(in: .whitespacesAndNewlines)
        == "\(count)")
    #expect(lseek(file.number, 0, SEEK_SET) == 0)
    var back: [UInt8] = []
    while let bytes = try file.read(upTo: 1 << 16), !bytes.isEmpty { back += bytes }
    #expect(back == content)
  }

  @Test func aFileIsReadUpToItsLimit() throws {
    let directory = try TemporaryDirectory()
    try Files.write(directory.file("f"), "0123456789")
    #expect(try Files.read(directory.file("f"), limit: 10) == Array("0123456789".utf8))
    #expect(
      refusal { () throws(SystemError) in try Files.read(directory.file("f"), limit: 9) }?.code == EFBIG)
    // One that never ends.
    #expect(refusal { () throws(SystemError) in try Files.read("/dev/zero", limit: 1 << 20) }?.code == EFBIG)
    #expect(
      refusal { () throws(SystemError) in try Files.read(directory.file("g"), limit: 9) }?.code == ENOENT)
  }

  @Test(arguments: [0o600, 0o640, 0o644, 0o4755] as [mode_t]) func aFilesModeIsItsOwn(_ mode: mode_t) throws {
    let directory = try TemporaryDirectory()
    try Files.write(directory.file("f"), "")
    try #require(chmod(directory.file("f"), mode) == 0)
    try #require(symlink("f", directory.file("link")) == 0)
    for name in ["f", "link"] { #expect(try Files.mode(directory.file(name)) == mode) }
    #expect(refusal { () throws(SystemError) in try Files.mode(directory.file("g")) }?.code == ENOENT)
  }

  @Test func directoriesAreMadeListedAndRemoved() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("d")
    #expect(try Files.names(in: path) == [])
    try Files.makeDirectory(path, mode: 0o700)
    try Files.makeDirectory(path, mode: 0o700)
    for name in ["a", ".b", "é"] { try Files.write("\(path)/\(name)", "") }
    #expect(try Set(Files.names(in: path)) == ["a", ".b", "é"])
    #expect(refusal { () throws(SystemError) in try Files.removeDirectory(path) }?.code == ENOTEMPTY)
    for name in ["a", "a", ".b", "é"] { try Files.remove("\(path)/\(name)") }
    try Files.removeDirectory(path)
    try Files.removeDirectory(path)
    #expect(
      refusal { () throws(SystemError) in try Files.makeDirectory("/nonexistent/d", mode: 0o700) } != nil)
  }

  @Test func aProcessIsToldFromALaterOneOfTheSamePid() throws {
    let text = try String(contentsOfFile: "/proc/self/stat", encoding: .utf8)
    let own = try #require(text.split(separator: ")").last?.split(separator: " ")[19])
    #expect(ProcessTable.startTime(of: getpid()) == UInt64(own))

    // A name made to be taken for other fields.
    let directory = try TemporaryDirectory()
    let program = directory.file("a) S 1 (b")
    try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: program)
    let pid = try SpawnRequest(executable: program, arguments: ["sleep", "1000"], environment: []).spawn()
    let started = try #require(ProcessTable.startTime(of: pid))
    let ownStart = try #require(UInt64(own))
    let ticks = UInt64(sysconf(Int32(_SC_CLK_TCK)))
    #expect(started >= ownStart && started <= UInt64(Clock.bootNanoseconds) / (1_000_000_000 / ticks) + 1)
    #expect(ProcessTable.signal(pid, SIGKILL))
    #expect(try reap(pid) == .signal(SIGKILL))
    #expect(ProcessTable.startTime(of: pid) == nil)
  }

  /// As after pthread_exit(3) in main: the kernel shows such a process as a zombie.
  @Test func aProcessWhoseFirstThreadHasEndedRuns() throws {
    let script = """
      import ctypes, platform, threading, time
      threading.Thread(target=time.sleep, args=(60,)).start()
      ctypes.CDLL(None).syscall({"x86_64": 60}.get(platform.machine(), 93), 0)
      """
    let words = ["/usr/bin/env", "python3", "-c", script]
    let environment = ["PATH=\(ProcessTable.environment["PATH"] ?? "")", "NAME=value"]
    let pid = try SpawnRequest(executable: words[0], arguments: words, environment: environment).spawn()
    let deadline = Clock.bootNanoseconds + 20_000_000_000
    while ProcessTable.statFields(of: pid)?.first != "Z", Clock.bootNanoseconds < deadline { usleep(1000) }
    #expect(ProcessTable.statFields(of: pid)?.first == "Z")
    #expect(ProcessTable.isRunning(pid) && ProcessTable.sight(pid)?.hasEnded == false)
    #expect(ProcessTable.variable("NAME", of: pid) == "value")
    let start = try #require(ProcessTable.startTime(of: pid))
    #expect(ProcessTable.end(pid, startedAt: start))
    let pidfd = try ProcessTable.watch(pid)
    #expect(try Waiting.readable([pidfd], milliseconds: 20_000) == [true])
    #expect(!ProcessTable.isRunning(pid) && ProcessTable.sight(pid)?.hasEnded == true)
    #expect(try reap(pid) == .signal(SIGKILL))
  }

  @Test func theEnvironmentAndTheFolderAreOurs() throws {
    setenv("HORDELINK_TEST_VALUE", "a=b=", 1)
    defer { unsetenv("HORDELINK_TEST_VALUE") }
    #expect(ProcessTable.environment["HORDELINK_TEST_VALUE"] == "a=b=")
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    #expect(try ProcessTable.ownFolder() == (own as NSString).deletingLastPathComponent)
  }

  @Test func clocksAreTheSystems() throws {
    let first = Clock.bootNanoseconds
    #expect(Clock.bootNanoseconds >= first && first > 0)
    #expect(abs(Double(Clock.wallMilliseconds) / 1000 - Date().timeIntervalSince1970) < 3600)
    #expect(try Clock.bootID() == Clock.bootID())
    #expect(try UUID(uuidString: Clock.bootID()) != nil)
  }
}
