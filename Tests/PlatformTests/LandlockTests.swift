import Glibc
import Testing

@testable import Platform

/// Takes a kernel with Landlock, and root or no_new_privs.
@Suite(.enabled(if: SpawnRequest.canHideFiles, "there is no Landlock here")) struct LandlockTests {
  @Test func aHiddenFileIsReadByNobodyWhoComesOfTheProcess() throws {
    let directory = try TemporaryDirectory()
    let secret = directory.file("secret")
    try Files.write(secret, "secret")
    try Files.write(directory.file("other"), "other")
    #expect(symlink(secret, directory.file("link")) == 0)
    func hiding(_ script: String) throws -> String { try shell(script) { $0.hiddenFile = secret } }
    for way in ["cat \(secret)", "cd \(directory.path) && cat link", "sh -c '(cat < \(secret)) &'; wait"] {
      #expect(try hiding("\(way) 2>/dev/null; echo .") == ".\n", "\(way)")
    }
    // Not under another name either.
    #expect(try hiding("ln \(secret) \(directory.path)/new && cat \(directory.path)/new; echo .") == ".\n")
    #expect(try shell("cat \(secret)") == "secret")
  }

  @Test func everythingElseIsAsBefore() throws {
    let directory = try TemporaryDirectory()
    let secret = directory.file("secret")
    try Files.write(secret, "secret")
    try Files.makeDirectory(directory.file("folder"), mode: 0o700)
    try Files.write(directory.file("folder/other"), "other")
    let input = try Files.inMemory(Array("input".utf8), name: "input")
    let output = try shell(
      """
      cd \(directory.path)/folder
      cat other /etc/hostname >/dev/null && ls / >/dev/null && ls .. && cat /dev/stdin
      echo new >new && cat new && mkdir one two && mv new one && mv one/new two && cat two/new
      """
    ) {
      $0.hiddenFile = secret
      $0.standardInput = input
    }
    #expect(output == "folder\nsecret\ninputnew\nnew\n")
    // This process itself is under no rule.
    #expect(try Files.read(secret, limit: 100) == Array("secret".utf8))
  }

  /// As a mount of a server in the network that is gone: everything that asks for it waits.
  @Test(.enabled(if: geteuid() == 0 && access("/dev/fuse", F_OK) == 0, "mounts a file system"))
  func aDeadFileSystemIsNotWaitedFor() throws {
    let directory = try TemporaryDirectory()
    let secret = directory.file("secret")
    try Files.write(secret, "secret")
    let dead = directory.file("dead")
    try Files.makeDirectory(dead, mode: 0o700)
    var server: Descriptor? = Descriptor(owning: open("/dev/fuse", O_RDWR | O_CLOEXEC))
    let options = "fd=\(server?.number ?? -1),rootmode=40000,user_id=0,group_id=0"
    try check("mount", dead) { mount("dead", dead, "fuse", 0, options) }
    defer { umount2(dead, Int32(MNT_DETACH)) }
    let (reading, writing) = try Files.pipe()
    try BackgroundThread.start {
      let output = (try? shell("cat \(secret) 2>/dev/null; echo .") { $0.hiddenFile = secret }) ?? ""
      _ = write(writing.number, output, output.utf8.count)
    }
    #expect(try Waiting.readable([reading], milliseconds: 10_000) == [true])
    // Whoever still waits gets an error.
    server = nil
    #expect(try Waiting.readable([reading], milliseconds: 10_000) == [true])
    #expect(try reading.read(upTo: 100) == Array(".\n".utf8))
  }

  @Test func aFileThatComesLaterIsHiddenToo() throws {
    let directory = try TemporaryDirectory()
    let secret = directory.file("secret")
    #expect(try shell("echo new >\(secret); cat \(secret) 2>/dev/null; echo .") { $0.hiddenFile = secret } == ".\n")
    #expect(try Files.read(secret, limit: 100) == Array("new\n".utf8))
  }
}
