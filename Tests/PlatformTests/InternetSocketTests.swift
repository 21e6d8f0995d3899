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
}
