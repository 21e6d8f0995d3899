import Decisions
import Facilitator
import Failpoints
import Identity
import Journal
import Logging
import Messages
import NIOCore
import NIOPosix
import Platform
import StatusUpdates
import Store

/// Uplink's hands: turns what happens into events for `UplinkCore` and carries out what it decides. Nothing is
/// decided here. Confined to one event loop.
final class Runtime {
  private var settings: UplinkSettings
  private let generation: Generation
  private var hotkey: Hotkey
  private var address: FacilitatorAddress
  private let logger: Logger
  private let loop: any EventLoop
  private let storeThread: StoreThread
  private let resolver: NameResolver
  private let gate: ListenerGate
  private let finish: (Int32) -> Void

  private var core: UplinkCore
  private var control: OutgoingFrames?
  private var listeners: [ConnectionID: OutgoingFrames] = [:]
  private var nextListener: UInt64 = 1
  private let listenerIntake = ListenerIntake()
  private var facilitator: FacilitatorConnection?
  private let reception: Reception
  private var figures: FiguresServer?
  private var results: RedisConnection?
  /// Those that something was written to in this turn.
  private var unflushed: [OutgoingFrames] = []
  /// What is asked of the record in this turn.
  private var asked: [StoreThread.Request] = []
  /// What has happened since the last turn.
  private var events: [UplinkCore.Event] = []
  private var turnIsDue = false
  private var timer: Scheduled<Void>?
  private var timerAt: Instant?

  /// Everything that is made before the first event.
  struct Parts {
    var settings: UplinkSettings
    var generation: Generation
    var hotkey: Hotkey
    var trusted: TrustedSigners
    var listenerSecret: ListenerSecret
    var address: FacilitatorAddress
    var stored: StoredState
    var bootID: String
    var seed: UInt64
  }

  /// - Parameter finish: ends the process with that code.
  init(
    _ parts: Parts, loop: any EventLoop, storeThread: StoreThread, logger: Logger,
    finish: @escaping (Int32) -> Void
  ) {
    settings = parts.settings
    generation = parts.generation
    hotkey = parts.hotkey
    address = parts.address
    self.loop = loop
    self.storeThread = storeThread
    resolver = NameResolver(loop: loop)
    gate = ListenerGate(parts.listenerSecret, loop: loop, logger: logger, now: Self.now.boot)
    self.logger = logger
    self.finish = finish
    reception = Reception(
      settings: parts.settings, trusted: parts.trusted, loop: loop, storeThread: storeThread, logger: logger)
    core = UplinkCore(
      settings: parts.settings, stored: parts.stored, bootID: parts.bootID, seed: parts.seed, at: Self.now)
  }

  private static var now: Moment {
    Moment(
      boot: Instant(nanoseconds: Haste.hurried(Clock.bootNanoseconds)),
      wall: WallTime(milliseconds: Clock.wallMilliseconds))
  }

  /// Begins, once the control channel is there.
  func start(control: any NIOCore.Channel) {
    self.control = OutgoingFrames(control, limit: Self.unreadBySupervisor)
    reception.start(post: { [self] in post($0) }, beingStored: { [self] in core.requestsBeingStored })
    for action in core.start(at: Self.now) { carryOut(action) }
    post(.timeReached)
    if let address = settings.metrics {
      figures = FiguresServer(at: address, loop: loop, logger: logger) { [self] in page($0) }
      figures?.start()
    }
  }

  /// What is served to whoever watches this Uplink.
  private func page(_ path: String) -> FiguresPage? {
    switch path {
    case "/metrics":
      return FiguresPage(
        type: "application/openmetrics-text; version=1.0.0; charset=utf-8", text: core.openMetrics(at: Self.now))
    case "/healthz":
      let (isWell, text) = core.health(at: Self.now)
      return FiguresPage(isWell: isWell, type: "text/plain; charset=utf-8", text: text)
    default: return nil
    }
  }

  // MARK: Events

  /// Hands over an event in the next turn, which comes once the loop has read what all sockets have.
  private func post(_ event: UplinkCore.Event) {
    events.append(event)
    guard !turnIsDue else { return }
    turnIsDue = true
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.execute { bound.value.turn() }
  }

  /// Carries out what follows from all that has happened. What is to be stored is asked for together, and what is
  /// written to one connection goes out together.
  private func turn() {
    turnIsDue = false
    let batch = events
    events.removeAll(keepingCapacity: true)
    for action in core.handle(batch, at: Self.now) { carryOut(action) }
    storeThread.ask(asked)
    asked.removeAll(keepingCapacity: true)
    facilitator?.flush()
    for connection in unflushed { connection.flush() }
    unflushed.removeAll(keepingCapacity: true)
    setTimer()
    reception.lookSoon()
  }

  /// A later deadline than the one that is set needs nothing: the timer looks again when it fires.
  private func setTimer() {
    guard let deadline = core.nextDeadline else { return }
    if let timerAt, timerAt <= deadline { return }
    timer?.cancel()
    timerAt = deadline
    // Who waits for longer looks again in between: NIO traps on the sum of its clock and a very long time.
    let delay = min(Haste.real(max(0, (deadline - Self.now.boot).nanoseconds)), 3_600_000_000_000)
    let bound = NIOLoopBound(self, eventLoop: loop)
    timer = loop.scheduleTask(in: .nanoseconds(delay)) {
      bound.value.timerAt = nil
      bound.value.post(.timeReached)
    }
  }

  func supervisorSaid(_ message: SupervisorToUplink) {
    if case .ping(let number) = message {
      let age = core.oldestCommit.map { (Self.now.boot - $0).wholeMilliseconds } ?? 0
      tell(.pong(number, oldestUncommittedMilliseconds: UInt64(max(0, age))))
      control?.flush()
    } else if case .reload(let settings) = message {
      reload(settings)
    } else {
      post(.fromSupervisor(message))
    }
  }

  func supervisorIsGone(_ reason: String?) {
    if let reason { logger.error("\(reason); Uplink leaves") }
    finish(reason == nil ? ExitCode.success : ExitCode.software)
  }

  /// Somebody has connected as a Listener. Returns what handles its frames.
  func listenerConnected(_ channel: any NIOCore.Channel) -> FrameHandler<ListenerToUplink> {
    let id = ConnectionID(nextListener)
    nextListener += 1
    let connection = OutgoingFrames(channel, limit: Self.unreadByListener)
    listeners[id] = connection
    listenerIntake.opened(id, channel)
    let visitor = gate.opened { connection.close() }
    weak var reader: FrameHandler<ListenerToUplink>?
    let handler = FrameHandler<ListenerToUplink>(
      limit: visitor.frameLimit(settings),
      received: { [self] message, generation in
        try gate.check(message, generation, of: visitor)
        if case .hello = message { reader?.limit = visitor.frameLimit(settings) }
        listenerSaid(id, message, generation)
      },
      holds: { [self] in listenerIntake.holds(id, $0) },
      closed: { [self] reason in
        listenerIntake.closed(id)
        gate.closed(visitor, reason, now: Self.now.boot)
        listeners[id] = nil
        post(.listenerGone(id))
      })
    reader = handler
    return handler
  }

  private func listenerSaid(_ id: ConnectionID, _ message: ListenerToUplink, _ generation: Generation) {
    guard case .resolve(let name) = message else {
      post(.fromListener(id, message, generation))
      return
    }
    resolver.resolve(name, for: id) { [self] answer in
      guard let connection = listeners[id] else { return }
      write(UplinkToListener.resolved(name, addresses: answer.addresses, problem: answer.problem), to: connection)
      connection.flush()
    }
  }

  func storeSaid(_ result: Result<[StoreThread.Outcome], StoreError>) {
    switch result {
    case .success(let outcomes):
      for outcome in outcomes {
        switch outcome {
        case .committed(let what):
          listenerIntake.committed()
          post(.committed(what))
        case .transacted: post(.transacted)
        case .loaded(let entries, let more): post(.loaded(entries, more: more))
        case .loadedForHook(let entries, let more): post(.loadedForHook(entries, more: more))
        case .bodyLoaded(let job, let body): post(.bodyLoaded(job, body))
        case .jobLoaded(let job, let stored): post(.jobLoaded(job, stored))
        case .deadLoaded(let question, let letters): post(.deadLoaded(question, letters))
        case .deadFound(let request, let found): post(.deadFound(request, found))
        case .expired(let count): post(.expired(count))
        case .disk(let isFull): post(.disk(isFull: isFull))
        case .cheatLookedUp(let body, let hash, let known):
          reception.lookedUp()
          if !known { post(.cheated(body, signatureHash: hash)) }
        case .lookedUp(let request, let known, let replay):
          reception.lookedUp()
          post(
            .requested(
              UplinkCore.Request(
                job: request.job, body: request.body, signatureHash: request.signatureHash,
                limitSeconds: request.limitSeconds, refusal: request.refusal, isKnown: known,
                isReplay: replay)))
        }
      }
      reception.lookSoon()
    case .failure(let error):
      logger.log(LogEntry(.critical, .storeFailed, "\(error); Uplink leaves and opens the record again"))
      finish(ExitCode.io)
    }
  }

  /// Reads again what the settings name. What cannot be used leaves things as they are.
  private func reload(_ new: UplinkSettings) {
    do {
      let key = try Uplink.hotkey(new)
      address = try Uplink.address(new)
      hotkey = key
      reception.reloaded(new, trusted: Uplink.trustedSigners(new, key))
    } catch {
      tell(.reloaded(problem: "\(error)"))
      control?.flush()
      return
    }
    settings = new
    post(.reloaded(new))
  }

  // MARK: Actions

  private func carryOut(_ action: UplinkCore.Action) {
    switch action {
    case .commit(let operations, let what):
      let request = StoreThread.Request.commit(operations, then: what)
      Failpoint.reach("uplink.accepted", when: request.retires)
      listenerIntake.asked(operations.reduce(0) { $0 + $1.updateBytes })
      asked.append(request)
    case .load(let id, let limit, let passingOver):
      asked.append(.load(after: id, limit: limit, bytes: UplinkCore.pageBytes, passingOver: passingOver))
    case .loadForHook(let id, let limit):
      asked.append(.loadForHook(after: id, limit: limit, bytes: UplinkCore.pageBytes / 4))
    case .loadBody(let job): asked.append(.loadBody(job))
    case .loadJob(let job): asked.append(.loadJob(job))
    case .loadDead(let question, let id): asked.append(.loadDead(question, after: id))
    case .lookUpDead(let request): asked.append(.lookUpDead(request))
    case .expire(let closed, let forgotten, let limit):
      asked.append(.expire(closedBefore: closed, forgottenBefore: forgotten, limit: limit))
    case .checkDisk: asked.append(.checkDisk)
    case .toSupervisor(let message):
      Failpoint.reach("uplink.dispatching", when: message.isDispatch)
      tell(message)
    case .toListener(let id, let message):
      if let connection = listeners[id] { write(message, to: connection) }
    case .dropListener(let id): listeners[id]?.close()
    case .connect(let connection):
      let opened = FacilitatorConnection(
        to: address, loop: loop, textLimit: settings.maxRequestBytes,
        unreadLimit: Outbox.bytesInFlightLimit + 2 * Limits.largestFrameBytes + Self.unreadBeside
      ) { [self] in reception.take($0, connection) }
      facilitator = opened
      reception.connection = opened
      opened.open()
    case .disconnect:
      facilitator?.drop()
      facilitator = nil
    case .close: facilitator?.close()
    case .authenticate: authenticate()
    case .heartbeat: facilitator?.write(Heartbeat.frame)
    case .ping(let number): facilitator?.ping(number)
    case .lookAtLine(let connection):
      post(.line(facilitator?.lineState ?? LineState(taken: 0, waiting: 0), connection: connection))
    case .send(let job, let status, let metadata):
      Failpoint.reach("uplink.sending")
      facilitator?.write(StatusUpdateFrame.encode(job: job, status: status, metadataJSON: metadata))
      Failpoint.reach("uplink.sent") { facilitator?.flush() }
    case .sendSpecs(let specs): facilitator?.write(specs.frame(validatorHotkey: hotkey.publicKey.ss58))
    case .connectResults(let server): connectResults(server)
    case .disconnectResults:
      results?.drop()
      results = nil
    case .sendResults(let commands): results?.send(commands)
    case .log(let entry): logger.log(entry)
    case .exit(let code):
      control?.flush()
      finish(code)
    }
  }

  /// What may wait for the Supervisor, and for a Listener, to read it, in bytes. A Listener is told little, and only of what
  /// it has sent.
  private static let unreadBySupervisor = 2 * Limits.controlFrameBytes
  private static let unreadByListener = 1 << 20
  /// What may wait for the facilitator to read it besides updates and specs, in bytes. Those are bounded where they are sent; what
  /// is on record may be larger than the settings allow now.
  private static let unreadBeside = 1 << 20
  /// More than the part of a result that is asked for.
  private static let longestReply = 1 << 20

  private func connectResults(_ server: RedisServer) {
    do {
      let opened = try RedisConnection(limit: Self.longestReply, loop: loop) { [self] event in
        switch event {
        case .connected: post(.resultsConnected)
        case .reply(let reply): post(.resultsReplied(reply))
        case .lost(let reason): post(.resultsLost(reason))
        }
      }
      results = opened
      opened.open(server)
    } catch {
      post(.resultsLost("\(error)"))
    }
  }

  private func authenticate() {
    do {
      facilitator?.write(try AuthenticationRequest(signedBy: hotkey).frame)
    } catch {
      logger.log(LogEntry(.critical, .authenticationRefused, "the hotkey cannot sign: \(error)"))
      finish(ExitCode.configuration)
    }
  }

  private func tell(_ message: UplinkToSupervisor) {
    if let control { write(message, to: control) }
  }

  private func write(_ message: some Message, to connection: OutgoingFrames) {
    if connection.write(message.frame(generation: generation)) { unflushed.append(connection) }
  }
}

extension StoreOperation {
  /// What it brings of an update or of specs, in bytes.
  fileprivate var updateBytes: Int {
    switch self {
    case .insertUpdate(let entry), .insertForHook(let entry): entry.metadata?.count ?? 0
    case .putSpecs(let entry): entry.specs.specs.count
    default: 0
    }
  }
}

extension UplinkToSupervisor {
  /// Whether it has a job's command started.
  fileprivate var isDispatch: Bool { if case .dispatch = self { true } else { false } }
}
