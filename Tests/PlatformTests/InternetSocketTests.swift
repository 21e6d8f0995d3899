import Glibc
import Testing

@testable import Platform

@Suite struct InternetSocketTests {
  /// A port of that address that was free a moment ago.
  private func freePort(_ host: String) throws -> Int {
    for _ in 0..<100 {
      let port = Int.random(in: 20_000...32_000)
      if (try? InternetSocket.bind(to: host, port: port)) != nil { return port }
    }
    throw SystemError("bind", host)
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func whatIsBoundListensOnceAndIsNotInherited(host: String) throws {
    let port = try freePort(host)
    let socket = try InternetSocket.bind(to: host, port: port)
    try #require(listen(socket.number, 1) == 0)
    for number in [socket.number, try socket.duplicate()] {
      #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
      #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0)
      if number != socket.number { close(number) }
    }
    let error = #expect(throws: SystemError.self) { try InternetSocket.bind(to: host, port: port) }
    #expect(error?.code == EADDRINUSE)
    #expect(error?.description.contains("\(port)") == true)
  }

  @Test(arguments: [("localhost", 9464), ("", 9464), ("127.0.0.1", 0), ("127.0.0.1", 65_536), ("127.0.0.1", -1)])
  func whatIsNoAddressIsRefused(host: String, port: Int) {
    #expect(throws: SystemError.self) { try InternetSocket.bind(to: host, port: port) }
  }

  @Test func itIsKnownHowMuchWasSentAndTaken() throws {
    let port = try freePort("127.0.0.1")
    let server = try InternetSocket.bind(to: "127.0.0.1", port: port)
    var small: Int32 = 4096
    setsockopt(server.number, SOL_SOCKET, SO_RCVBUF, &small, socklen_t(MemoryLayout<Int32>.size))
    try #require(listen(server.number, 1) == 0)
    let client = try InternetSocket.connect(to: "127.0.0.1", port: port)
    var polled = pollfd(fd: server.number, events: Int16(POLLIN), revents: 0)
    try #require(poll(&polled, 1, 10_000) == 1)
    let accepted = Descriptor(owning: accept(server.number, nil, nil))
    let bytes = [UInt8](repeating: 7, count: 100_000)
    let written = write(client.number, bytes, bytes.count)
    try #require(written > 50_000)
    // The kernel may take some more, and no more than it has room for.
    let before = try InternetSocket.sentBytes(client.number)
    #expect(before.waiting > 10_000 && before.acknowledged + before.waiting <= UInt64(written) + 1)
    var left = written
    while left > 0 {
      let more = try #require(try accepted.read(upTo: left))
      left -= more.count
    }
    while try InternetSocket.sentBytes(client.number).waiting > 0 { sched_yield() }
    let after = try InternetSocket.sentBytes(client.number).acknowledged
    #expect(after >= UInt64(written) && after <= UInt64(written) + 1)
    #expect(throws: SystemError.self) { try InternetSocket.sentBytes(-1) }
  }
}
