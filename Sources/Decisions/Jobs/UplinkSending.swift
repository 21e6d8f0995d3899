import Messages

// The way to the facilitator: what is sent, and what its answers mean.
extension UplinkCore {
  mutating func serveSession(at now: Moment) {
    while let demand = session.demand(
      at: now.boot, oldestSent: outbox.oldestSentAt, allowance: outbox.allowance)
    {
      switch demand {
      case .connect:
        connection += 1
        actions.append(.connect(connection: connection))
      case .authenticate: actions.append(.authenticate)
      case .heartbeat: actions.append(.heartbeat)
      case .ping: ping()
      case .drop(let reason): dropConnection(reason, disagreeing: false, at: now)
      }
    }
  }

  private mutating func dropConnection(_ reason: String, disagreeing: Bool, at now: Moment) {
    actions.append(.disconnect(connection: connection))
    connectionLost(reason, disagreeing: disagreeing, at: now)
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
    case .connecting, .authenticating, .ready: dropConnection("a reload", disagreeing: false, at: now)
    case .waiting, .closed: break
    }
  }

  mutating func connectionLost(_ reason: String, disagreeing: Bool, at now: Moment) {
    let inFlight = outbox.inFlight
    var what = "no connection to the facilitator"
    if case .ready(let since) = session.state {
      figures.connectionsLost += 1
      what = "the connection to the facilitator is lost after \((now.boot - since).wholeSeconds) s"
    } else if session.state != .closed {
      figures.attemptsFailed += 1
    }
    rejections.removeAll()
    let dead = outbox.connectionLost(disagreeing: disagreeing, at: now.boot)
    if let dead {
      bury(dead, "each connection was lost within 5 s of sending it, alone and three times over", at: now)
    }
    specsLost(disagreeing: disagreeing)
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
        dropConnection("authentication refused: \(error.type)", disagreeing: false, at: now)
      }
    case .ready: settle(outbox.answered(answer, at: now.boot), at: now)
    case .waiting, .connecting, .closed: break
    }
  }

  /// It was meant for something: what comes after it would be taken for the answer to the wrong one.
  mutating func unreadableAnswer(at now: Moment) {
    if outbox.inFlight > 0 || session.isAuthenticating {
      dropConnection("an answer that cannot be read", disagreeing: true, at: now)
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
      if entry.status.isTerminal {
        commit([.retire(entry.id, at: now.wall), .close(entry.job, at: now.wall)], then: .closed(entry.job))
      } else {
        commit([.retire(entry.id, at: now.wall)], then: .nothing)
      }
    case .retry(let entry, let at, let error):
      figures.updatesRetried += 1
      log(
        .warning, .updateRetried,
        "the facilitator refused \(entry.status.name) (\(error.type)): \(error.message); "
          + "tried again in \((at - now.boot).wholeSeconds) s", job: entry.job)
      let text = "\(error.type): \(error.message)"
      commit([.countAttempt(entry.id, attempts: entry.attempts, error: text, at: now.wall)], then: .nothing)
    case .dead(let entry, let error):
      bury(entry, "the facilitator refused it \(entry.attempts) times (\(error.type)): \(error.message)", at: now)
    case .ephemeral(let job, let answer):
      if case .errors(let errors) = answer {
        let type = errors.first?.type ?? ""
        logRefusal(.notice, "the facilitator did not take its rejection (\(type))", job: job, at: now.boot)
      }
    case .disagreement(let reason): dropConnection(reason, disagreeing: true, at: now)
    }
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
    guard session.isReady else { return }
    while let entry = outbox.next(at: now) {
      actions.append(.send(entry.job, entry.status, metadata: entry.metadata))
    }
  }

  // MARK: What waits in the record

  mutating func loadMore() {
    guard recordHasMore, !loading, outbox.count < Self.pageSize / 2, outbox.bytes < Self.pageBytes else {
      return
    }
    loading = true
    actions.append(.load(after: loadedUpTo, limit: Self.pageSize))
  }

  mutating func loaded(_ entries: [OutboxEntry], more: Bool) {
    loading = false
    recordHasMore = more
    for entry in entries {
      loadedUpTo = max(loadedUpTo, entry.id)
      outbox.enqueue(entry)
    }
    loadMore()
  }
}
