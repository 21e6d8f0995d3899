// What a WebSocket takes that only echoes: NIO's at one end, prepared bytes on a bare socket at the other.
//
//   hordelink-bench-echo [SECONDS]        default 5, for each figure
//
// A frame has the length of an update without metadata. One JSON line a figure, in the form of hordelink-bench-floor.

import Glibc
import Messages
import NIOCore
import NIOPosix
import Platform

let repetitions = 5
let seconds = CommandLine.arguments.dropFirst().first.flatMap { Double($0) } ?? 5
guard seconds > 0 else {
  Terminal.complain("usage: hordelink-bench-echo [SECONDS]")
  exit(ExitCode.usage)
}

let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let server = try EchoServer.start(on: group)
guard let port = server.localAddress?.port else { throw EchoError("the server listens on no port") }
let client = try EchoClient(port: port)

for inFlight in [1, 16, 256] {
  let values = try (0..<repetitions).map { _ in
    try client.echoesASecond(inFlight: inFlight, seconds: seconds / Double(repetitions))
  }
  let list = values.map { "\(Int($0))" }.joined(separator: ",")
  print(
    #"{"benchmark":"echo","subject":"floor","parameters":{"in flight":\#(inFlight)},"#
      + #""figure":"echoes a second","unit":"1/s","values":[\#(list)]}"#)
  fflush(nil)
}
try server.close().wait()
try group.syncShutdownGracefully()
