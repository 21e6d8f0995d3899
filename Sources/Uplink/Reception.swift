import Decisions
import Facilitator
import Identity
import Journal
import Logging
import Messages
import NIOCore
import Platform

/// Takes in what the facilitator sends: reads no further than the record keeps up, looks at signatures before anything is
/// stored, and asks the record about each request. Confined to its event loop. Source: decision 0018.
final class Reception {
  private var settings: UplinkSettings
  private var trusted: TrustedSigners
  private let loop: any EventLoop
  private let storeThread: StoreThread
  private let logger: Logger
  private var post: (UplinkCore.Event) -> Void = { _ in }
  private var beingStored: () -> RequestsUnderWay = { RequestsUnderWay() }

  /// The one that is read from.
  var connection: FacilitatorConnection? { didSet { isReading = true } }
  private var isReading = true
  private var intake = Intake<(event: FacilitatorEvent, connection: UInt64)>()
  private var lookIsDue = false
  /// Requests that are looked up in the record.
  private var lookingUp = RequestsUnderWay()
  private var refusedTexts = RefusedTexts()
  private var ignoredLines: LineLimit

  init(
    settings: UplinkSettings, trusted: TrustedSigners, loop: any EventLoop, storeThread: StoreThread, logger: Logger
  ) {
    self.settings = settings
    self.trusted = trusted
    self.loop = loop
    self.storeThread = storeThread
    self.logger = logger
    ignoredLines = LineLimit(LineLimit.complaints, at: Self.now)
  }

  private static var now: Instant { Instant(nanoseconds: Clock.bootNanoseconds) }

  /// Begins.
  /// - Parameters:
  ///   - post: hands over an event in the next turn of the loop.
  ///   - beingStored: says what has been looked up and is not durable yet.
  func start(post: @escaping (UplinkCore.Event) -> Void, beingStored: @escaping () -> RequestsUnderWay) {
    self.post = post
    self.beingStored = beingStored
  }

  /// What was refused under the earlier settings may be taken now.
  func reloaded(_ settings: UplinkSettings, trusted: TrustedSigners) {
    self.settings = settings
    self.trusted = trusted
    refusedTexts = RefusedTexts()
  }

  // MARK: Backpressure

  /// Takes what a connection brings, in its order.
  func take(_ event: FacilitatorEvent, _ connection: UInt64) {
    // Nearly all that comes is an answer, which costs nothing to look at.
    if intake.isEmpty, case .text(let text) = event, FacilitatorMessage.isPlainSuccess(text) {
      return post(.answered(.success, connection: connection))
    }
    intake.put((event, connection), bytes: event.size)
    readOrRest()
    guard !lookIsDue, !recordIsBehind else { return }
    lookIsDue = true
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.execute { bound.value.look() }
  }

  /// Looks at what has come, for as long as a turn may take and the record keeps up.
  private func look() {
    lookIsDue = false
    let until = Self.now + IntakeBounds.turn
    while !recordIsBehind, let (event, connection) = intake.next() {
      received(event, connection)
      if Self.now >= until { break }
    }
    readOrRest()
    lookSoon()
  }

  /// Has what is left looked at once the other sockets have had their turn: a task that followed at once would keep the
  /// loop from them.
  func lookSoon() {
    guard !intake.isEmpty, !lookIsDue, !recordIsBehind else { return }
    lookIsDue = true
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.scheduleTask(in: .microseconds(100)) { bound.value.look() }
  }

  /// As many requests are on their way through the record as may be.
  private var recordIsBehind: Bool { lookingUp.isFull(with: beingStored()) }

  /// What is not read stays in the socket and holds the facilitator up.
  private func readOrRest() {
    guard isReading == intake.isFull else { return }
    isReading = !intake.isFull
    connection?.read(isReading)
  }

  /// The record has answered the oldest question about a request.
  func lookedUp() { lookingUp.end() }

  private func lookUp(_ request: JobRequested) {
    lookingUp.begin(bytes: request.body.count)
    storeThread.ask([.lookUp(request)])
  }

  // MARK: What came

  private func received(_ event: FacilitatorEvent, _ connection: UInt64) {
    switch event {
    case .opened: post(.opened(connection: connection))
    case .ponged(let ping): post(.ponged(ping, connection: connection))
    case .lost(let reason): post(.lost(reason: reason, connection: connection))
    case .ignored(let reason): ignore("what the facilitator sent", reason)
    case .text(let text): received(text, connection)
    case .longText(let beginning, let bytes): tooLarge(MessageBeginning(beginning), bytes, connection)
    }
  }

  /// A job has a few dozen values, and one for each argument and variable. Reading more would cost memory.
  private static let mostValues = 1 << 17

  private func received(_ text: [UInt8], _ connection: UInt64) {
    let hash = Array(Blake2b.hash512(text).prefix(32))
    guard !refusedTexts.contains(hash) else {
      return ignore("a message from the facilitator", "the same was refused before")
    }
    switch FacilitatorMessage.classify(text, values: Self.mostValues) {
    case .response(let response):
      let answer: FacilitatorAnswer =
        response.status == .success
        ? .success
        : .errors(response.errors.map { FacilitatorError(type: Self.cut($0.type), message: Self.cut($0.message)) })
      post(.answered(answer, connection: connection))
    case .jobRequest(let request, let raw): received(request, raw, hash)
    case .jobCheated(let report, let raw): received(report, raw, hash)
    case .unreadableAnswer(let reason): unreadableAnswer(text.count, reason, connection)
    case .unsupported(let reason): ignore("a message of \(text.count) bytes from the facilitator", reason)
    }
  }

  /// A message that is larger than any request may be: its beginning says whether somebody waits for an answer.
  private func tooLarge(_ beginning: MessageBeginning, _ bytes: Int, _ connection: UInt64) {
    let what = "\(bytes) bytes, and [jobs] max_request_bytes allows \(settings.maxRequestBytes)"
    switch beginning {
    case .jobRequest(let job):
      lookUp(JobRequested(job: job, body: [], limitSeconds: 0, refusal: "the request has \(what)"))
    case .mayBeAnswer:
      unreadableAnswer(bytes, "[jobs] max_request_bytes allows \(settings.maxRequestBytes)", connection)
    case .other: ignore("a message from the facilitator", "it has \(what)")
    }
  }

  /// Ignored, unless an answer is awaited.
  private func unreadableAnswer(_ bytes: Int, _ reason: String, _ connection: UInt64) {
    log(
      "a message of \(bytes) bytes from the facilitator cannot be read, and may have been an answer: \(reason)",
      .facilitatorMessageIgnored)
    post(.unreadableAnswer(connection: connection))
  }

  private func received(_ request: JobRequest, _ raw: [UInt8], _ hash: [UInt8]) {
    guard let job = request.job else {
      let why = JobID(request.uuid) == nil ? "not a canonical UUID" : "there twice"
      let uuid = String(reflecting: String(request.uuid.unicodeScalars.prefix(64)))
      return ignore("a job request whose uuid is \(why)", uuid, .jobRefused)
    }
    let limits = request.limits
    let seconds =
      limits.download + limits.execution + limits.upload + (request.wantsStreaming ? limits.streamingStart : 0)
    var requested = JobRequested(job: job, body: raw, limitSeconds: Int(min(seconds, Self.longestJob)))
    do throws(VerificationError) {
      try verify(request)
      if settings.verifySignatures { requested.signatureHash = request.signature?.fingerprint }
    } catch {
      requested.body = []
      requested.refusal = refusal(error, hash)
    }
    lookUp(requested)
  }

  private func received(_ report: JobCheated, _ raw: [UInt8], _ hash: [UInt8]) {
    do throws(VerificationError) { try verify(report) } catch {
      return ignore("a cheat report", refusal(error, hash), .cheatReported)
    }
    lookingUp.begin(bytes: raw.count)
    storeThread.ask([.lookUpCheat(raw, signatureHash: report.signature?.fingerprint ?? hash)])
  }

  private func verify(_ request: some SignedRequest) throws(VerificationError) {
    guard settings.verifySignatures else { return try request.verifyReading() }
    if settings.maxAgeSeconds > 0 {
      try request.verifyAge(atMost: settings.maxAgeSeconds, nowMilliseconds: Clock.wallMilliseconds)
    }
    try request.verify(trusted: trusted)
  }

  /// The words for it. The same text is not looked at again as long as it would be refused again.
  private func refusal(_ error: VerificationError, _ hash: [UInt8]) -> String {
    if error.isLasting { refusedTexts.insert(hash) }
    return Self.cut("\(error)")
  }

  /// Ten years: nobody waits longer, and clocks in nanoseconds hold it.
  private static let longestJob: Int64 = 10 * 365 * 86_400

  /// The facilitator's words go to the journal and into the record, and may be megabytes.
  private static func cut(_ text: String) -> String { Terminal.printable(text, limit: 300) }

  private func ignore(_ what: String, _ why: String, _ event: JournalEvent = .facilitatorMessageIgnored) {
    log("\(what) is ignored: \(why)", event)
  }

  private func log(_ text: String, _ event: JournalEvent) {
    let (passes, dropped) = ignoredLines.admit(at: Self.now)
    guard passes else { return }
    if let leftOut = LineLimit.leftOut(dropped) { logger.log(LogEntry(.warning, event, leftOut)) }
    logger.log(LogEntry(.warning, event, text))
  }
}
