import Glibc
import Testing

@testable import Platform

@Suite struct SocketTests {
  private func flags(_ descriptor: Descriptor) -> (nonBlocking: Bool, closeOnExec: Bool) {
    (
      fcntl(descriptor.number, F_GETFL) & O_NONBLOCK != 0,
      fcntl(descriptor.number, F_GETFD) & FD_CLOEXEC != 0
    )
  }

  @Test func listenConnectAcceptAndPeer() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("s")
    let listening = try UnixSocket.listen(at: path, mode: 0o600)
    #expect(try UnixSocket.accept(listening) == nil)
    let client = try UnixSocket.connect(to: path)
    let server = try #require(try UnixSocket.accept(listening))
    #expect(try UnixSocket.accept(listening) == nil)
    for socket in [listening, client, server] { #expect(flags(socket) == (true, true)) }
    for end in [client, server] {
      let peer = try UnixSocket.peer(of: end)
      #expect(peer.pid == getpid() && peer.uid == geteuid() && peer.gid == getegid())
      #expect(try UnixSocket.isAllowed(peer, of: end))
    }
    // What one sends the other reads; nothing there is nil, the end is empty.
    #expect(try server.read(upTo: 10) == nil)
    #expect(send(client.number, "hello", 5, 0) == 5)
    #expect(try server.read(upTo: 3) == Array("hel".utf8))
    #expect(try server.read(upTo: 10) == Array("lo".utf8))
    shutdown(client.number, Int32(SHUT_WR))
    #expect(try server.read(upTo: 10) == [])
  }

  /// The groups asked for are those of the socket's true peer, which is this process.
  @Test func anotherUserOutsideOfOurGroupIsNotAllowed() throws {
    let (ours, _) = try UnixSocket.pair()
    let stranger = PeerCredentials(pid: 1, uid: geteuid() + 4711, gid: getegid() + 4711)
    var groups = [gid_t](repeating: 0, count: 1024)
    let count = getgroups(1024, &groups)
    let inGroup = groups.prefix(Int(max(count, 0))).contains(getegid())
    #expect(try UnixSocket.isAllowed(stranger, of: ours) == inGroup)
    #expect(try UnixSocket.isAllowed(PeerCredentials(pid: 1, uid: 0, gid: 4711), of: ours))
    #expect(try UnixSocket.isAllowed(PeerCredentials(pid: 1, uid: 4711, gid: getegid()), of: ours))
  }

  @Test(arguments: [0o600, 0o660, 0o666] as [mode_t]) func theModeIsExactlyThat(_ mode: mode_t) throws {
    let directory = try TemporaryDirectory()
    let listening = try UnixSocket.listen(at: directory.file("s"), mode: mode)
    var status = stat()
    #expect(stat(directory.file("s"), &status) == 0)
    #expect(status.st_mode & 0o7777 == mode)
    withExtendedLifetime(listening) {}
  }

  @Test func thePathIsLimitedExactly() throws {
    let directory = try TemporaryDirectory()
    let room = UnixSocket.longestPath - directory.path.utf8.count - 1
    let fits = directory.file(String(repeating: "p", count: room))
    let listening = try UnixSocket.listen(at: fits, mode: 0o600)
    _ = try UnixSocket.connect(to: fits)
    #expect(try UnixSocket.accept(listening) != nil)
    for path in [
      fits + "p", directory.file(String(repeating: "é", count: room)), String(repeating: "/", count: 9000),
    ] {
      for error in [
        refusal({ () throws(SystemError) in try UnixSocket.listen(at: path, mode: 0o600) }),
        refusal({ () throws(SystemError) in try UnixSocket.connect(to: path) }),
      ] {
        #expect(error?.code == ENAMETOOLONG)
        #expect(error?.subject == path)
      }
    }
    // Nothing was made under a shortened name.
    #expect(try Files.names(in: directory.path) == [String(repeating: "p", count: room)])
  }

  @Test func aStaleSocketIsReplaced() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("s")
    var first: Descriptor? = try UnixSocket.listen(at: path, mode: 0o600)
    #expect(first != nil)
    first = nil
    #expect(
      eventually { refusal { () throws(SystemError) in try UnixSocket.connect(to: path) }?.code == ECONNREFUSED })
    let second = try UnixSocket.listen(at: path, mode: 0o600)
    let client = try UnixSocket.connect(to: path)
    #expect(try UnixSocket.accept(second) != nil)
    withExtendedLifetime(client) {}
  }

  @Test func whatCannotBeListenedAtIsNamed() throws {
    let directory = try TemporaryDirectory()
    for path in [directory.file("missing/s"), directory.path] {
      let error = refusal { () throws(SystemError) in try UnixSocket.listen(at: path, mode: 0o600) }
      #expect(error?.description.contains(path) == true)
    }
    #expect(
      refusal { () throws(SystemError) in try UnixSocket.connect(to: directory.file("none")) }?.code == ENOENT
    )
  }

  @Test func aFullBacklogFailsAtOnce() throws {
    let directory = try TemporaryDirectory()
    let listening = try UnixSocket.listen(at: directory.file("s"), mode: 0o600, backlog: 1)
    var clients: [Descriptor] = []
    var error: SystemError?
    while error == nil, clients.count < 100 {
      error = refusal { () throws(SystemError) in
        clients.append(try UnixSocket.connect(to: directory.file("s")))
      }
    }
    #expect(error?.code == EAGAIN)
    // Those in the backlog are served all the same, and make room.
    for _ in clients { #expect(try UnixSocket.accept(listening) != nil) }
    _ = try UnixSocket.connect(to: directory.file("s"))
  }

  /// A listening socket outlives the process that serves it: who connects in between waits in the backlog.
  @Test func clientsWaitInTheBacklog() throws {
    let directory = try TemporaryDirectory()
    let listening = try UnixSocket.listen(at: directory.file("s"), mode: 0o600)
    let clients = try (0..<50).map { _ in try UnixSocket.connect(to: directory.file("s")) }
    for client in clients { #expect(send(client.number, "x", 1, 0) == 1) }
    for _ in clients { #expect(try UnixSocket.accept(listening)?.read(upTo: 9) == Array("x".utf8)) }
  }

  @Test func aPairIsConnected() throws {
    let (ours, theirs) = try UnixSocket.pair()
    for end in [ours, theirs] { #expect(flags(end) == (true, true)) }
    #expect(send(theirs.number, "x", 1, 0) == 1)
    #expect(try ours.read(upTo: 9) == Array("x".utf8))
  }
}
