import Messages

// The way to the facilitator: what is sent, and what its answers mean.
extension UplinkCore {
  mutating func serveSession(at now: Moment) {
    while let demand = session.demand(at: now.boot, awaited: outbox.awaitedSince) {
      switch demand {
      case .connect:
        connection += 1
        actions.append(.connect(connection: connection))
      case .authenticate: actions.append(.authenticate)
      case .heartbeat: actions.append(.heartbeat)
      case .ping: ping()
      case .look: actions.append(.lookAtLine(connection: connection))
      case .drop(let reason): dropConnection(reason, .lost, at: now)
      }
    }
  }

  mutating func lineSeen(_ line: LineState, at now: Moment) {
    let sent = outbox.bytesInFlight + specs.unconfirmedBytes
    if case .drop(let reason) = session.seen(line, sent: sent, at: now.boot, awaited: outbox.awaitedSince) {
      dropConnection(reason, .lost, at: now)
    }
  }

  private mutating func dropConnection(_ reason: String, _ loss: Outbox.Loss, at now: Moment) {
    actions.append(.disconnect(connection: connection))
    connectionLost(reason, loss, at: now)
  }

  /// The hotkey, the certificates and the address are used at one reconnect, the rest at once. What has been counted
  /// under the earlier settings, as a job's deadline, stands.
  mutating func reloaded(_ new: UplinkSettings, at now: Moment) {
    settings = new
    outbox.window = new.window
    session.heartbeatInterval = .seconds(new.heartbeatSeconds)
    room.maxRows = new.maxRows
    room.maxBytes = new.maxBytes
    hookRoom.maxRows = new.maxRows
    hookRoom.maxBytes = new.maxBytes
    actions.append(.toSupervisor(.reloaded(problem: nil)))
    switch session.state {
    case .connecting, .authenticating, .ready: dropConnection("a reload", .ours, at: now)
    case .waiting, .closed: break
    }
  }

  mutating func connectionLost(_ reason: String, _ loss: Outbox.Loss, at now: Moment) {
    let inFlight = outbox.inFlight
    var what = "no connection to the facilitator"
    if case .ready(let since) = session.state {
      figures.connectionsLost += 1
      what = "the connection to the facilitator is lost after \((now.boot - since).wholeSeconds) s"
    } else if session.state != .closed {
      figures.attemptsFailed += 1
    }
    rejections.removeAll()
    if let suspect = outbox.connectionLost(loss, at: now.boot) { lostAlone(suspect, reason, at: now) }
    specs.connectionLost(loss, at: now.boot)
    let delay = session.lost(reason, at: now.boot, dice: &dice)
    guard case .waiting = session.state else { return }
    let lost = inFlight > 0 ? "; updates that were in flight: \(inFlight)" : ""
    let wait = delay < .seconds(1) ? "\(delay.wholeMilliseconds) ms" : "\(delay.wholeSeconds) s"
    // Once is a notice; an outage is a warning.
    log(
      session.attempts > Self.attemptsOfAnOutage ? .warning : .notice, .connectionLost,
      "\(what): \(reason)\(lost); the next attempt is in \(wait)")
  }

  mutating func answered(_ answer: FacilitatorAnswer, at now: Moment) {
    switch session.state {
    case .authenticating:
      switch answer {
      case .success:
        session.authenticated(at: now.boot)
        outbox.connected(at: now.boot)
        log(.notice, .connectionReady, "connected to the facilitator and authenticated")
      case .errors(let errors):
        let error = errors.first ?? FacilitatorError(type: "", message: "no reason given")
        log(
          .error, .authenticationRefused,
          "the facilitator refuses our authentication (\(error.type)): \(error.message); "
            + "check the hotkey and whether this validator is registered")
        dropConnection("authentication refused: \(error.type)", .lost, at: now)
      }
    case .ready:
      settle(outbox.answered(answer, at: now.boot), at: now)
      judge(at: now)
    case .waiting, .connecting, .closed: break
    }
  }

  /// What comes after it would be taken for the answer to the wrong update. Where none is awaited it is ignored.
  mutating func unreadableAnswer(at now: Moment) {
    if outbox.inFlight > 0 || session.isAuthenticating {
      dropConnection("an answer that cannot be read", .disagreement, at: now)
    }
  }

  private mutating func settle(_ outcome: Outbox.Outcome, at now: Moment) {
    switch outcome {
    case .delivered(let entry, let already):
      queued -= 1
      figures.updatesDelivered += 1
      figures.deliveryTime.observe(now.wall - entry.storedAt)
      giveBack(room: entry)
      if already, !entry.outcomeUnknown {
        log(
          .notice, .updateDelivered, "the facilitator had \(entry.status.name) before it was sent from here",
          job: entry.job)
      }
      log(.updateDelivered, "delivered", entry, at: now.boot)
      judgeSpecs()
      if entry.status.isTerminal {
        commit([.retire(entry.id, at: now.wall), .close(entry.job, at: now.wall)], then: .closed(entry.job))
      } else {
        commit([.retire(entry.id, at: now.wall)], then: .nothing)
      }
    case .retry(let entry, let at, let error):
      figures.updatesRetried += 1
      tried(
        entry,
        "the facilitator refused \(entry.status.name) (\(error.type)): \(error.message); "
          + "tried again in \((at - now.boot).wholeSeconds) s", "\(error.type): \(error.message)", at: now)
    case .ephemeral(let job, let answer):
      if case .errors(let errors) = answer {
        let type = errors.first?.type ?? ""
        logRefusal(.notice, "the facilitator did not take its rejection (\(type))", job: job, at: now.boot)
      }
    case .disagreement(let reason): dropConnection(reason, .disagreement, at: now)
    }
  }

  /// Says that an attempt failed, and puts it into the update's history.
  private mutating func tried(_ entry: OutboxEntry, _ text: String, _ error: String, at now: Moment) {
    let (passes, dropped) = troubleLines.admit(at: now.boot)
    if let leftOut = LineLimit.leftOut(dropped) { log(.warning, .updateRetried, leftOut) }
    if passes { log(.warning, .updateRetried, text, job: entry.job) }
    commit([.noteAttempt(entry.id, error: error, at: now.wall)], then: .nothing)
  }

  private mutating func lostAlone(_ entry: OutboxEntry, _ reason: String, at now: Moment) {
    figures.updatesRetried += 1
    let what = "the connection was lost with it alone in flight (\(reason))"
    tried(entry, "\(entry.status.name) is tried again behind the others: \(what)", what, at: now)
  }

  /// Carries out the outbox's judgement of failed attempts.
  private mutating func judge(at now: Moment) {
    var counted: [StoreOperation] = []
    for judgement in outbox.takeJudged() {
      switch judgement {
      case .counted(let entry, .refused): counted.append(.countAttempt(entry.id, attempts: entry.attempts))
      case .counted(_, .lost): break
      case .dead(let entry, .refused(let error)):
        bury(
          entry, "the facilitator took others and refused it \(entry.attempts) times (\(error.type)): \(error.message)",
          at: now)
      case .dead(let entry, .lost):
        bury(
          entry,
          "the facilitator took others, and the connection was lost with it alone in flight, "
            + "\(Outbox.lossesAlone) times over", at: now)
      }
    }
    if !counted.isEmpty { commit(counted, then: .nothing) }
  }

  private mutating func bury(_ entry: OutboxEntry, _ why: String, at now: Moment) {
    queued -= 1
    dead += 1
    figures.updatesDead += 1
    log(.error, .updateDead, "\(entry.status.name) is set aside as a dead letter: \(why)", job: entry.job)
    let bury = StoreOperation.bury(entry.id, attempts: entry.attempts, error: why, at: now.wall)
    if entry.status.isTerminal {
      // Nothing more is done for the job.
      commit([bury, .close(entry.job, at: now.wall)], then: .closed(entry.job))
    } else {
      commit([bury], then: .buried(entry.job))
    }
  }

  /// Sends what may be sent.
  mutating func pump(at now: Instant) {
    guard session.isReady, !backlog.isEnding, !specs.isProbing else { return }
    while let entry = outbox.next(at: now, mayProbe: specs.isConfirmed) {
      actions.append(.send(entry.job, entry.status, metadata: entry.metadata))
    }
  }
}
