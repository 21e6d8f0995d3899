import CSystemd
import Configuration
import Decisions
import DequeModule
import Failpoints
import Glibc
import Identity
import Journal
import Logging
import Messages
import Platform

/// The Supervisor's hands: turns what happens into events for `SupervisorCore` and carries out what it decides.
/// Nothing is decided here.
final class Runtime {
  private var configuration: Configuration
  /// Read again, and not in use yet.
  private var readAgain: Prepared?
  private var reading: OffLoop<Reading>?
  private let folder: String
  private let environment: [String: String]
  private let logger: Logger
  private let loop: EventLoop
  private let ingress: Ingress
  private var commandLine: CommandLine
  private var hookLines: [Hook: CommandLine]
  /// The soft limit of descriptors that commands get.
  private let descriptorLimit: UInt64
  private let bootID: String
  private let listenerSecret: ListenerSecret
  private var core: SupervisorCore
  private var children: [ChildKey: ChildProcess] = [:]
  private var commands: [JobID: RunningCommand] = [:]
  private var hooks: [HookRun: RunningCommand] = [:]
  private let hookOutput: [Hook: OutputLines]
  private var control: ControlServer?
  private var reaper: Reaper?
  private var timer: EventLoop.Source?
  private var signals: [EventLoop.Source] = []
  private var events = Deque<SupervisorCore.Event>()
  private var busy = false

  /// - Parameter folder: where this program's siblings are.
  init(
    configuration: Configuration, folder: String, environment: [String: String], listenerSecret: ListenerSecret,
    logger: Logger, seed: UInt64
  ) throws(SystemError) {
    self.configuration = configuration
    self.folder = folder
    self.environment = environment
    self.listenerSecret = listenerSecret
    self.logger = logger
    loop = try EventLoop()
    ingress = try Ingress(
      runtimeDirectory: configuration.runtimeDirectory, store: DescriptorStore(environment: environment),
      logger: logger)
    // Each job takes several, and this bounds how many can be open at once.
    descriptorLimit = min(try DescriptorLimit.raise(), DescriptorLimit.ofSelect)
    let prepared = try Prepared(configuration, environment: environment, descriptorLimit: descriptorLimit)
    commandLine = prepared.commandLine
    hookLines = prepared.hookLines
    bootID = try Clock.bootID()
    let start = Instant(nanoseconds: Clock.bootNanoseconds)
    hookOutput = Dictionary(uniqueKeysWithValues: Hook.allCases.map { ($0, OutputLines(at: start)) })
    core = SupervisorCore(
      settings: SupervisorCore.Settings(configuration),
      inherited: ingress.jobs, seed: seed, at: start)
  }

  private var now: Instant { Instant(nanoseconds: Clock.bootNanoseconds) }

  /// Runs until the service has stopped; returns its exit code.
  func run() throws(SystemError) -> Int32 {
    timer = try loop.addTimer { [weak self] in self?.post(.timeReached) }
    for signal in [SIGTERM, SIGINT] {
      signals.append(try loop.add(signal: signal) { [weak self] in self?.post(.stopRequested) })
    }
    signals.append(
      try loop.add(signal: SIGHUP) { [weak self] in self?.post(.reloadRequested) })
    reaper = try Reaper(
      loop: loop, logger: logger, socketPath: { [ingress] in ingress.path(.job($0)) },
      endsLeftovers: { [weak self] in self?.configuration.dispatch.startsElsewhere == false })
    control = try ControlServer(socket: ingress.control, loop: loop, logger: logger) {
      [weak self] number, query in self?.post(.controlQuery(number, query))
    }
    post(.timeReached)
    let code = try loop.run()
    do { try ingress.close() } catch { logger.warning("sockets are left behind: \(error)") }
    return code
  }

  /// Hands over an event, and whatever its actions bring about, one after the other.
  private func post(_ event: SupervisorCore.Event) {
    events.append(event)
    guard !busy else { return }
    busy = true
    while let next = events.popFirst() {
      for action in core.handle(next, at: now) { carryOut(action) }
    }
    busy = false
    timer?.fire(atNanoseconds: core.nextDeadline?.nanoseconds)
  }

  private func carryOut(_ action: SupervisorCore.Action) {
    switch action {
    case .spawnUplink(let generation):
      spawn(.uplink, "hordelink-uplink", generation) { () throws(SystemError) in self.ingress.uplink }
    case .spawnListener(let channel, let generation):
      spawn(.listener(channel), "hordelink-listener", generation) { () throws(SystemError) in
        try self.ingress.socket(channel)
      }
    case .spawnCommand(let job, let body, let beginBy): startCommand(job, body, beginBy: beginBy)
    case .signalChild(_, let pid, let signal): ProcessTable.signal(pid, signal)
    case .signalCommand(let job, let signal):
      if let command = commands[job] { ProcessTable.signalGroup(command.pid, signal) }
    case .spawnHook(let run, let items): startHook(run, items)
    case .signalHook(let run, let signal):
      if let hook = hooks[run] { ProcessTable.signalGroup(hook.pid, signal) }
    case .killLeftover(let job, let record): killLeftover(job, record)
    case .toUplink(let message): send(message.with(listenerSecret), to: .uplink)
    case .toListener(let channel, .assign(var settings)):
      guard let child = children[.listener(channel)] else { break }
      settings.token = listenerSecret.token(channel: channel.tokenName, generation: child.generation.number)
      send(SupervisorToListener.assign(settings), to: .listener(channel))
    case .toListener(let channel, let message): send(message, to: .listener(channel))
    case .removeIngress(let job): attempt { () throws(SystemError) in try ingress.remove(job) }
    case .keepIngress(let jobs): attempt { () throws(SystemError) in try ingress.keep(only: jobs) }
    case .answerControl(let number, let children, let report):
      control?.answer(number, .report(children, uplink: report))
    case .readConfiguration: readConfiguration()
    case .useConfiguration: useConfiguration()
    case .notifyReady: sd_notify(0, "READY=1")
    case .notifyReloading: sd_notify(0, "RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonicMicroseconds)")
    case .notifyStopping(let bound):
      // sd_notify(3): the stop may take this long, whatever the unit has for TimeoutStopSec=.
      sd_notify(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=\(bound.nanoseconds / 1000)")
    case .notifyStatus(let text): sd_notify(0, "STATUS=\(text)")
    case .log(let entry): logger.log(entry)
    case .exit(let code): loop.exit(code)
    }
  }

  // MARK: The configuration

  /// What a configuration is made into before it is used.
  private struct Prepared: Sendable {
    let configuration: Configuration
    let commandLine: CommandLine
    let hookLines: [Hook: CommandLine]

    init(_ configuration: Configuration, environment: [String: String], descriptorLimit: UInt64) throws(SystemError) {
      self.configuration = configuration
      commandLine = try CommandLine(
        configuration.dispatch.command, configuration.dispatch, own: environment, descriptorLimit: descriptorLimit,
        hiddenFile: configuration.hiddenFile)
      var lines: [Hook: CommandLine] = [:]
      for hook in Hook.allCases {
        guard let command = configuration.hooks[hook]?.command else { continue }
        lines[hook] = try CommandLine(
          command, configuration.dispatch, own: environment, descriptorLimit: descriptorLimit,
          hiddenFile: configuration.hiddenFile)
      }
      hookLines = lines
    }
  }

  /// What came of reading it: as it is to be used, or why it cannot be.
  private enum Reading: Sendable {
    case usable(Prepared, applied: [String], waiting: [String])
    case unusable([String])
  }

  /// How long a reload waits for files and for the database of users, in seconds.
  private static let readingTime: Int64 = 20

  private func readConfiguration() {
    guard reading?.isRunning != true else {
      return post(.configurationUnusable(["the last reload still waits for the database of users, or for a file"]))
    }
    let (configuration, environment, descriptorLimit) = (configuration, environment, descriptorLimit)
    do {
      reading = try OffLoop(loop: loop, seconds: Self.readingTime) {
        Self.read(configuration, environment, descriptorLimit)
      } then: { [weak self] in
        self?.hasRead($0)
      }
    } catch {
      post(.configurationUnusable(["\(error)"]))
    }
  }

  private static func read(
    _ current: Configuration, _ environment: [String: String], _ descriptorLimit: UInt64
  ) -> Reading {
    do {
      let new = try Configuration.load(path: current.file, environment: environment)
      let problems = ConfigurationCheck.problems(new)
      guard problems.isEmpty else { return .unusable(problems.map { "\($0)" }) }
      let (settings, applied, waiting) = current.reloaded(with: new)
      let prepared = try Prepared(settings, environment: environment, descriptorLimit: descriptorLimit)
      return .usable(prepared, applied: applied, waiting: waiting)
    } catch let error as ConfigurationError {
      return .unusable(error.problems.map { "\($0)" })
    } catch {
      return .unusable(["\(error)"])
    }
  }

  private func hasRead(_ reading: Reading?) {
    switch reading {
    case .usable(let prepared, let applied, let waiting):
      readAgain = prepared
      post(
        .configurationRead(
          Reload(settings: SupervisorCore.Settings(prepared.configuration), applied: applied, waiting: waiting)))
    case .unusable(let problems): post(.configurationUnusable(problems))
    case nil:
      post(
        .configurationUnusable([
          "\(configuration.file) could not be read and checked within \(Self.readingTime) s: the database of users, or a "
            + "disk, does not answer"
        ]))
    }
  }

  private func useConfiguration() {
    guard let new = readAgain else { return }
    configuration = new.configuration
    commandLine = new.commandLine
    hookLines = new.hookLines
    readAgain = nil
  }

  private func attempt(_ body: () throws(SystemError) -> Void) {
    do { try body() } catch { logger.warning("\(error)") }
  }

  // MARK: Children

  private func spawn(
    _ key: ChildKey, _ program: String, _ generation: Generation,
    _ listening: () throws(SystemError) -> Descriptor
  ) {
    var spawned: pid_t?
    do {
      let child = try ChildProcess(
        program: "\(folder)/\(program)", listening: try listening(), generation: generation,
        environment: childEnvironment)
      spawned = child.pid
      reaper?.started(child.pid)
      child.exitSource = try loop.add(child: child.pid) { [weak self] code, signal in
        self?.exited(key, code.map { .code($0) } ?? .signal(signal ?? 0))
      }
      child.controlSource = try loop.add(child.control.socket) { [weak self] in self?.serve(key) }
      children[key] = child
      Failpoint.reach("supervisor.spawned")
      post(.childSpawned(key, generation, pid: child.pid))
    } catch {
      if let spawned { endNow(spawned) }
      post(.spawnFailed(key, generation, reason: "\(error)"))
    }
  }

  /// What a child of ours needs of our environment: nothing that speaks for the service itself.
  private var childEnvironment: [String] {
    var names = ["PATH", "LANG", "TZ", "JOURNAL_STREAM", Dumpable.variable]
    #if DEBUG
      // `make sanitize` has sanitizers write their reports to files, and `make power-cut` records what Uplink writes.
      names += [
        Failpoint.variable, Haste.variable, "ASAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD", "HORDELINK_RECORDER",
      ]
    #endif
    let inherited = names.compactMap { name in environment[name].map { "\(name)=\($0)" } }
    return inherited + ["SWIFT_BACKTRACE=\(environment["SWIFT_BACKTRACE"] ?? Self.noBacktrace)"]
  }

  /// Swift's runtime would look for a program that prints backtraces, in eight places for each Listener.
  private static let noBacktrace = "enable=no,swift-backtrace=/nonexistent"

  private func send(_ message: some Message, to key: ChildKey) {
    guard let child = children[key] else { return }
    do {
      try child.send(message.frame(generation: child.generation))
    } catch {
      // A closed socket is followed by the child's exit. One that does not read hangs.
      if case .notReading = error { post(.misbehaved(key, child.generation, reason: "nothing back: \(error)")) }
    }
  }

  private func serve(_ key: ChildKey) {
    guard let child = children[key] else { return }
    do {
      try child.control.flush()
      try child.control.fill()
      try takeMessages(key, child)
    } catch {
      if case .frame(let error) = error {
        child.controlSource = nil
        post(.misbehaved(key, child.generation, reason: "\(error)"))
      } else {
        child.controlSource = nil
      }
      return
    }
    // Its end follows, and is taken from its pidfd.
    if child.control.atEnd {
      child.controlSource = nil
    } else {
      child.controlSource?.waitFor(read: true, write: child.control.wantsToWrite)
    }
  }

  private func takeMessages(_ key: ChildKey, _ child: ChildProcess) throws(FrameConnection.Failure) {
    switch key {
    case .uplink:
      while let (message, generation) = try child.control.next(UplinkToSupervisor.self) {
        post(.fromUplink(message, generation))
      }
    case .listener(let channel):
      while let (message, generation) = try child.control.next(ListenerToSupervisor.self) {
        post(.fromListener(channel, message, generation))
      }
    }
  }

  private func exited(_ key: ChildKey, _ exit: ProcessExit) {
    guard let child = children[key] else { return }
    reaper?.ended(child.pid)
    // Its last words are heard before its end.
    do {
      while try child.control.fill(), !child.control.atEnd {}
      try takeMessages(key, child)
    } catch {
      logger.warning("the last words of \(key.name) (pid \(child.pid)) are lost: \(error)")
    }
    children[key] = nil
    post(.childExited(key, child.generation, exit))
  }

  // MARK: Commands

  private func startCommand(_ job: JobID, _ body: [UInt8], beginBy: Int64) {
    Failpoint.reach("supervisor.dispatching")
    do {
      let command: RunningCommand
      if let order = TaskOrder(configuration.dispatch, job, body, beginBy: beginBy) {
        command = try dispatcher(order, job: job)
      } else {
        command = try RunningCommand(
          job: job,
          request: commandLine.request(
            more: ["HORDELINK_JOB_UUID=\(job)", "HORDELINK_SOCKET=\(ingress.path(.job(job)))"]), body: body,
          logger: configuration.dispatch.logOutput ? logger : nil, lines: OutputLines(at: now))
      }
      commands[job] = command
      reaper?.started(command.pid, command: job)
      command.exitSource = try loop.add(child: command.pid) { [weak self] code, signal in
        self?.commandExited(job, code, signal)
      }
      try command.listen(loop) { Instant(nanoseconds: Clock.bootNanoseconds) }
      let record = CommandRecord(
        pid: command.pid, startTime: ProcessTable.startTime(of: command.pid) ?? 0, bootID: bootID)
      Failpoint.reach("supervisor.dispatched")
      post(.commandStarted(job, record))
    } catch {
      // One that cannot be watched must not run.
      if let command = commands.removeValue(forKey: job) { endNow(command.pid) }
      post(.commandFailed(job, reason: "\(error)"))
    }
  }

  /// Starts what puts tasks into a queue. What it says last is logged with what becomes of it.
  private func dispatcher(_ order: TaskOrder, job: JobID?) throws(SystemError) -> RunningCommand {
    let program = folder + "/hordelink-dispatch-celery"
    var request = SpawnRequest(executable: program, arguments: [program], environment: childEnvironment)
    request.newSession = true
    return try RunningCommand(
      job: job, request: request, body: order.frame(generation: .none), logger: nil,
      lines: OutputLines(at: now))
  }

  /// Called while the leader is still a zombie, so that its group's number cannot be another's yet.
  private func commandExited(_ job: JobID, _ code: Int32?, _ signal: Int32?) {
    guard let command = commands.removeValue(forKey: job) else { return }
    // What a launcher has left running is its purpose.
    if !configuration.dispatch.startsElsewhere { ProcessTable.signalGroup(command.pid, SIGKILL) }
    reaper?.ended(command.pid)
    let tail = command.finish(now: now)
    post(.commandExited(job, CommandExit(code: code, signal: signal, stderrTail: tail)))
  }

  private func startHook(_ run: HookRun, _ items: [TaskOrder.Task]) {
    do {
      guard let command = try hookCommand(run.hook, items) else { return post(.hookExited(run, nil)) }
      hooks[run] = command
      reaper?.started(command.pid, command: nil)
      command.exitSource = try loop.add(child: command.pid) { [weak self] code, signal in
        guard let self, let hook = self.hooks.removeValue(forKey: run) else { return }
        ProcessTable.signalGroup(hook.pid, SIGKILL)
        self.reaper?.ended(hook.pid)
        let tail = hook.finish(now: self.now)
        self.post(.hookExited(run, CommandExit(code: code, signal: signal, stderrTail: tail)))
      }
      try command.listen(loop) { Instant(nanoseconds: Clock.bootNanoseconds) }
    } catch {
      logger.log(
        LogEntry(
          .error, run.hook == .cheated ? .cheatReported : .hookDelayed,
          "the hook \(run.hook.name) could not be started: \(error)"))
      if let hook = hooks.removeValue(forKey: run) { endNow(hook.pid) }
      post(.hookExited(run, nil))
    }
  }

  private func hookCommand(_ hook: Hook, _ items: [TaskOrder.Task]) throws(SystemError) -> RunningCommand? {
    if let order = TaskOrder(configuration, hook, items) { return try dispatcher(order, job: nil) }
    guard let line = hookLines[hook] else { return nil }
    // A cheat report is as it was received, whose bytes are signed.
    let end: [UInt8] = hook == .statusUpdate ? [UInt8(ascii: "\n")] : []
    return try RunningCommand(
      job: nil, request: line.request(), body: Array(items.map { $0.argument + end }.joined()), logger: logger,
      lines: hookOutput[hook] ?? OutputLines(at: now))
  }

  /// Ends a process that was spawned and cannot be watched. Nothing waits for its end, which one in an uninterruptible sleep
  /// does not come to.
  private func endNow(_ pid: pid_t) {
    ProcessTable.signalGroup(pid, SIGKILL)
    ProcessTable.signal(pid, SIGKILL)
    reaper?.wasKilled(pid)
  }

  private func killLeftover(_ job: JobID, _ record: CommandRecord) {
    defer { reaper?.endEarlier(job) }
    guard bootID == record.bootID, ProcessTable.startTime(of: record.pid) == record.startTime,
      ProcessTable.isRunning(record.pid)
    else { return }
    ProcessTable.signalGroup(record.pid, SIGKILL)
    logger.log(
      LogEntry(
        .warning, .commandStopped, "its command was left running by an earlier Supervisor; it is killed",
        job: job, pid: record.pid))
  }
}
