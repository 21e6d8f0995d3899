import Glibc
import MessagePack
import Messages
import Platform
import Testing
import WorkerClient

private let job = JobID("11111111-2222-4333-8444-555555555555")

/// The client against a server whose every step is given.
@Suite struct WorkerClientTests {
  private func client(_ path: String, patienceMilliseconds: Int = 60_000) throws -> WorkerClient {
    WorkerClient(socketPath: path, job: try #require(job), patienceMilliseconds: patienceMilliseconds)
  }

  @Test func oneStatusIsSentAsTheProtocolHasItAndAcknowledged() throws {
    try withSocketPath { path in
      let requests = Mailbox<MessagePackValue>()
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            while let request = connection.receive() {
              requests.put(request)
              connection.answer(request)
            }
          }
        ])
      let client = try client(path)
      let metadata = MessagePackValue.map([MessagePackPair(.string("more"), .float(0.5))])
      #expect(try client.send(.accepted) == .stored)
      #expect(try client.send(.completed, metadata: metadata) == .stored)
      let seen = try #require(requests.takeAll()).elements
      try #require(seen.count == 2)
      #expect(seen[0]["type"] == .string("job_status_update"))
      #expect(
        seen[0]["payload"]
          == .map([
            MessagePackPair(.string("uuid"), .string("11111111-2222-4333-8444-555555555555")),
            MessagePackPair(.string("status"), .string("accepted")),
          ]))
      #expect(seen[1]["payload"]?["metadata"] == metadata)
      #expect(seen[0]["id"] != nil && seen[0]["id"] != seen[1]["id"])
      #expect(server.received == ["accepted", "completed"])
    }
  }

  @Test func aConnectionLostBeforeTheAnswerIsMadeAnewAndTheStatusSentAgain() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(at: path, [{ _ = $0.receive() }, { _ in }, { $0.acknowledgeAll() }])
      let client = try client(path)
      var losses: [Int32] = []
      client.onRetry = { losses.append($0.code) }
      #expect(try client.send(.accepted) == .stored)
      #expect(losses == [ECONNRESET, ECONNRESET])
      #expect(server.received == ["accepted", "accepted"])
    }
  }

  @Test func onlyWhatWasNotAnsweredIsSentAgainAndInOrder() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            connection.answer(connection.receive())
            _ = connection.receive()
          },
          { $0.acknowledgeAll() },
        ])
      let client = try client(path)
      let answers = try client.send([.init(.accepted), .init(.executorReady), .init(.volumesReady)])
      #expect(answers == [.stored, .stored, .stored])
      #expect(server.received == ["accepted", "executor_ready", "executor_ready", "volumes_ready"])
    }
  }

  /// A socket nobody listens on refuses; the server starts once the client has come upon that.
  @Test(arguments: [false, true]) func aSocketThatRefusesFirstIsTriedAgain(isMissing: Bool) throws {
    try withSocketPath { path in
      if !isMissing { _ = try UnixSocket.listen(at: path, mode: 0o600) }
      let client = try client(path)
      var losses: [Int32] = []
      var server: ScriptedServer?
      client.onRetry = { loss in
        losses.append(loss.code)
        if losses.count == 2 { server = try? ScriptedServer(at: path, [{ $0.acknowledgeAll() }]) }
      }
      #expect(try client.send(.accepted) == .stored)
      let code = isMissing ? ENOENT : ECONNREFUSED
      #expect(losses == [code, code])
      #expect(server?.received == ["accepted"])
    }
  }

  @Test func aRefusalIsGivenWithCodeAndMessageAndNotTriedAgain() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            connection.answer(connection.receive())
            connection.answer(connection.receive(), refusal("job_closed", "the job has ended"))
            connection.answer(connection.receive())
          }
        ])
      let client = try client(path)
      let answers = try client.send([.init(.accepted), .init(statusName: "someday"), .init(.completed)])
      try #require(answers.count == 3)
      guard case .refused(let refusal) = answers[1] else {
        Issue.record("\(answers[1])")
        return
      }
      #expect(refusal.code == "job_closed")
      #expect(refusal.message == "the job has ended")
      #expect(answers[0] == .stored && answers[2] == .stored)
      #expect(server.received == ["accepted", "someday", "completed"])
    }
  }

  /// What the service cannot read it answers without an id, and may close the connection at once.
  @Test func aRefusalWithoutIDBelongsToTheOldestAndCountsAlthoughTheConnectionEnds() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            _ = connection.receive()
            connection.answer(nil, refusal("malformed", "not a frame of ours"))
          },
          { $0.acknowledgeAll() },
        ])
      let large = MessagePackValue.binary([UInt8](repeating: 0, count: 4 << 20))
      let answers = try client(path).send([.init(.accepted), .init(.completed, metadata: large)])
      guard case .refused(let refusal) = answers[0] else {
        Issue.record("\(answers[0])")
        return
      }
      #expect(refusal.code == "malformed")
      #expect(answers[1] == .stored)
      #expect(server.received == ["accepted", "completed"])
    }
  }

  @Test func anAnswerInPiecesIsPutTogether() throws {
    try withSocketPath { path in
      _ = try ScriptedServer(
        at: path,
        [
          { connection in
            guard let first = connection.receive(), let second = connection.receive() else { return }
            let answers =
              frame(.map([MessagePackPair(.string("id"), first["id"] ?? .null)] + ok))
              + frame(.map([MessagePackPair(.string("id"), second["id"] ?? .null)] + ok))
            for byte in answers { connection.write([byte]) }
          }
        ])
      #expect(try client(path).send([.init(.accepted), .init(.completed)]) == [.stored, .stored])
    }
  }

  @Test func anAnswerThatIsCutOffIsNone() throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            guard let request = connection.receive() else { return }
            connection.write(
              frame(.map([MessagePackPair(.string("id"), request["id"] ?? .null)] + ok)).dropLast())
          },
          { $0.acknowledgeAll() },
        ])
      #expect(try client(path).send(.accepted) == .stored)
      #expect(server.received == ["accepted", "accepted"])
    }
  }

  /// Neither side may wait for the other to read first: far more than the sockets' buffers hold goes each way.
  @Test func manyAreSentWithoutWaitingAndAnsweredInOrder() throws {
    try withSocketPath { path in
      let count = 5000
      _ = try ScriptedServer(
        at: path,
        [
          { connection in
            for number in 0..<count {
              let request = connection.receive()
              connection.answer(
                request, number % 7 == 0 ? refusal("invalid", "\(number) \(String(repeating: "x", count: 200))") : ok)
            }
          }
        ])
      let metadata = MessagePackValue.map([
        MessagePackPair(.string("text"), .string(String(repeating: "y", count: 1000)))
      ])
      let answers = try client(path).send(
        [WorkerClient.Update](repeating: .init(.executorReady, metadata: metadata), count: count))
      try #require(answers.count == count)
      for (number, answer) in answers.enumerated() {
        switch answer {
        case .stored: #expect(number % 7 != 0)
        case .refused(let refusal): #expect(refusal.message.hasPrefix("\(number) "))
        }
      }
    }
  }

  @Test(arguments: [
    frame(.map([MessagePackPair(.string("id"), .int(77))] + ok)), frame(.map([])), frame(.string("ok")),
    frame(.map([MessagePackPair(.string("ok"), .bool(false))])), [0, 0, 0, 1, 0xc1], Array("HTTP/1.1 400".utf8),
  ])
  func whatIsNoAnswerIsReportedAndNotTriedAgain(bytes: [UInt8]) throws {
    try withSocketPath { path in
      let server = try ScriptedServer(
        at: path,
        [
          { connection in
            _ = connection.receive()
            connection.write(bytes)
            _ = connection.receive()
          }, { $0.acknowledgeAll() },
        ])
      let client = try client(path)
      let failure = try #require(throws: WorkerClient.Failure.self) { try client.send(.accepted) }
      guard case .notTheProtocol(path, _) = failure else {
        Issue.record("\(failure)")
        return
      }
      #expect(server.received == ["accepted"])
      // The connection on which the two disagreed is given up; the next one is used as ever.
      #expect(try client.send(.completed) == .stored)
    }
  }

  @Test func patienceEndsWhereNothingListensAndWhereNothingIsAnswered() throws {
    try withSocketPath { path in
      let client = try client(path, patienceMilliseconds: 50)
      #expect(throws: SystemError.self) { try client.connect() }
      guard
        case .noAnswer(path, unanswered: 1, milliseconds: 50, let loss) = try #require(
          throws: WorkerClient.Failure.self, performing: { try client.send(.accepted) })
      else {
        Issue.record("another failure")
        return
      }
      #expect(loss?.code == ENOENT)

      // Connected, and silent: the backlog takes the connection and nobody reads.
      let silent = try UnixSocket.listen(at: path, mode: 0o600)
      let failure = try #require(throws: WorkerClient.Failure.self) {
        try client.send([.init(.accepted), .init(.completed)])
      }
      #expect(failure == .noAnswer(socket: path, unanswered: 2, milliseconds: 50, lastLoss: nil))
      withExtendedLifetime(silent) {}
    }
  }

  @Test func whatCanNeverBeReachedIsNotTriedAgain() throws {
    let client = try client("/tmp/" + String(repeating: "x", count: 200))
    guard
      case .unreachable(let error) = try #require(
        throws: WorkerClient.Failure.self, performing: { try client.send(.accepted) })
    else {
      Issue.record("another failure")
      return
    }
    #expect(error.code == ENAMETOOLONG)
  }

  @Test func whatIsLongerThanAnyServiceAcceptsIsNotSent() throws {
    try withSocketPath { path in
      let client = try client(path)
      let large = MessagePackValue.binary([UInt8](repeating: 0, count: WorkerClient.longestFrame))
      guard
        case .tooLarge(_, WorkerClient.longestFrame) = try #require(
          throws: WorkerClient.Failure.self, performing: { try client.send(.completed, metadata: large) })
      else {
        Issue.record("another failure")
        return
      }
    }
  }
}
