import Decisions
import Facilitator
import Glibc
import Identity
import Journal
import Logging
import Messages
import NIOCore
import NIOPosix
import Platform
import Store
import Synchronization

/// The program from its first message to its exit code.
enum Program {
  static func run() throws -> Int32 {
    signal(SIGPIPE, SIG_IGN)
    // Before there is a key in it.
    try Dumpable.off()
    // The record is nobody else's to read, and SQLite makes its files itself.
    umask(0o077)
    var settings: UplinkSettings
    let generation: Generation
    do {
      guard let first = try firstMessage() else { return ExitCode.success }
      (settings, generation) = first
    } catch let error as SystemError {
      throw CannotStart(
        code: ExitCode.usage, text: "is started by hordelink-supervisor and by nothing else (\(error))")
    }
    guard let secret = ListenerSecret(settings.listenerSecret) else {
      throw CannotStart(code: ExitCode.software, text: "the configuration holds no secret of Listeners")
    }
    // The one copy is in `secret`.
    settings.listenerSecret = []
    // As on the Supervisor's lines about it, so that its whole story is found by them.
    let journal = try Journal.start(
      program: "hordelink-uplink",
      always: [
        ("CHILD", ChildKey.uplink.name), ("CHILD_PID", "\(getpid())"), ("GENERATION", "\(generation)"),
      ])
    defer { journal.flush() }
    let logger = Logger(label: "uplink")
    do {
      let (key, trusted) = try keys(settings)
      if let mode = try? Files.mode(settings.hotkeyFile),
        let warning = HotkeyFile.warning(path: settings.hotkeyFile, mode: mode)
      {
        logger.warning("\(warning)")
      }
      let facilitator = try address(settings)
      let lock = try lock(settings)
      if !settings.verifySignatures {
        logger.warning(
          "verify_signatures = false: job requests are accepted from anybody the facilitator lets through",
          metadata: ["MESSAGE_ID": "\(JournalEvent.signaturesNotVerified.rawValue)"])
      }
      return try withExtendedLifetime(lock) {
        try serve(settings, generation, key, trusted, secret, facilitator, logger)
      }
    } catch let problem as CannotStart {
      Journal.lastWords("hordelink-uplink: \(problem.text)")
      return problem.code
    }
  }

  private static func keys(_ settings: UplinkSettings) throws(CannotStart) -> (HandedOver<Hotkey>, TrustedSigners) {
    let key = try hotkey(settings)
    return (HandedOver(key), trustedSigners(settings, key))
  }

  /// Opens the record, and serves until the Supervisor or an error ends it.
  private static func serve(
    _ settings: UplinkSettings, _ generation: Generation, _ hotkey: HandedOver<Hotkey>, _ trusted: TrustedSigners,
    _ secret: ListenerSecret, _ address: FacilitatorAddress, _ logger: Logger
  ) throws -> Int32 {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let finished = loop.makePromise(of: Int32.self)
    let bootID = try Clock.bootID()
    let storeThread = StoreThread()
    let box = NIOLoopBoundBox<Runtime?>.makeEmptyBox(valueType: Runtime.self, eventLoop: loop)
    var generator = SystemRandomNumberGenerator()
    let seed = generator.next()

    try storeThread.start(
      directory: settings.stateDirectory, bootID: bootID,
      opened: { stored in
        loop.execute {
          guard let hotkey = hotkey.take() else { return }
          let runtime = Runtime(
            Runtime.Parts(
              settings: settings, generation: generation, hotkey: hotkey, trusted: trusted,
              listenerSecret: secret, address: address, stored: stored, bootID: bootID, seed: seed),
            loop: loop, storeThread: storeThread, logger: logger, finish: { finished.succeed($0) })
          box.value = runtime
          connect(NIOLoopBound(runtime, eventLoop: loop), loop, logger, failed: { finished.fail($0) })
        }
      },
      report: { result in
        loop.execute {
          if let runtime = box.value {
            runtime.storeSaid(result)
          } else if case .failure(let error) = result {
            logger.log(LogEntry(.critical, .storeFailed, "\(error)"))
            finished.succeed(ExitCode.io)
          }
        }
      })
    return try finished.futureResult.wait()
  }

  /// Takes over the inherited sockets: the one to the Supervisor, and the one on which Listeners connect.
  private static func connect(
    _ runtime: NIOLoopBound<Runtime>, _ loop: any EventLoop, _ logger: Logger,
    failed: @escaping @Sendable (any Error) -> Void
  ) {
    ServerBootstrap(group: loop)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptRest(logger, "of a Listener"))
        }
      }
      // A Listener sends little at a time, and there are many of them.
      .childChannelOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 1024, maximum: 65_536)
      )
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(runtime.value.listenerConnected(channel))
        }
      }
      .withBoundSocket(InheritedDescriptor.listening)
      .flatMap { _ -> EventLoopFuture<any NIOCore.Channel> in
        ClientBootstrap(group: loop)
          .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
              let runtime = runtime.value
              try channel.pipeline.syncOperations.addHandler(
                FrameHandler<SupervisorToUplink>(
                  limit: Limits.controlFrameBytes,
                  received: { message, _ in runtime.supervisorSaid(message) },
                  closed: { runtime.supervisorIsGone($0) }))
            }
          }
          .withConnectedSocket(InheritedDescriptor.control)
      }
      .whenComplete { result in
        switch result {
        case .success(let channel): runtime.value.start(control: channel)
        case .failure(let error): failed(error)
        }
      }
  }
}

/// A secret on its way to its owner: nobody on the way keeps it, so that the owner can let it go.
private final class HandedOver<Secret: Sendable>: Sendable {
  private let secret: Mutex<Secret?>

  init(_ secret: Secret) { self.secret = Mutex(secret) }

  /// The secret, once.
  func take() -> Secret? {
    secret.withLock { secret in
      defer { secret = nil }
      return secret
    }
  }
}
