import Messages

// Machine specs on their way to the facilitator, and cheat reports on their way to the hook.
extension UplinkCore {
  // MARK: Machine specs

  mutating func specsReported(_ listener: ListenerID, _ number: SequenceNumber, _ reported: MachineSpecs) {
    guard !room.diskIsFull, specs.hasRoom(for: reported) else {
      holdSpecs(listener)
      return
    }
    let entry = SpecsEntry(number: nextNumber, specs: reported)
    nextNumber += 1
    specs.put(entry)
    actions.append(.commit([.putSpecs(entry)], then: .specs(listener, number)))
  }

  /// Sends specs behind the updates, when none of those can go.
  mutating func pumpSpecs() {
    guard session.isReady, !outbox.hasSendable, !outbox.hasSuspects else { return }
    while let next = specs.next() { actions.append(.sendSpecs(next)) }
    if specs.needsPing {
      specs.pinged(nextPing)
      ping()
    }
  }

  mutating func ping() {
    actions.append(.ping(nextPing))
    nextPing += 1
  }

  mutating func ponged(_ number: UInt64) {
    session.ponged()
    let arrived = specs.ponged(number)
    figures.specsDelivered += arrived.count
    drop(arrived)
  }

  mutating func specsLost(disagreeing: Bool) {
    let givenUp = specs.connectionLost(disagreeing: disagreeing)
    if !givenUp.isEmpty {
      log(
        .error, .updateDead,
        "\(givenUp.count) machine specs are given up on: the facilitator did not understand what was sent with them")
    }
    drop(givenUp)
  }

  private mutating func drop(_ numbers: [UInt64]) {
    guard !numbers.isEmpty else { return }
    actions.append(.commit(numbers.map { .dropSpecs($0) }, then: .nothing))
  }

  // MARK: Cheat reports

  /// A cheat report whose signature holds.
  mutating func cheated(_ body: [UInt8], signatureHash: [UInt8], at now: Moment) {
    guard settings.hasCheatHook else {
      log(.warning, .cheatReported, "a cheat report came; no hook is set ([hooks] on_cheated), so it is only logged")
      return
    }
    guard !hooks.contains(signatureHash: signatureHash) else { return }
    guard hooks.count < Self.cheatCapacity, hooks.bytes < Self.pageBytes else {
      log(.error, .cheatReported, "a cheat report is dropped: \(hooks.count) wait for the hook already")
      return
    }
    let report = CheatReport(number: nextNumber, body: body, signatureHash: signatureHash)
    nextNumber += 1
    log(.warning, .cheatReported, "a cheat report came; it goes to the hook")
    actions.append(.commit([.insertCheat(report, at: now.wall)], then: .cheat(report)))
  }

  mutating func runHooks(at now: Instant) {
    guard supervisorIsTold else { return }
    while let report = hooks.next(at: now) {
      actions.append(.toSupervisor(.runHook(report.number, body: report.body)))
    }
  }

  mutating func hookExited(_ number: UInt64, _ exit: CommandExit?, at now: Moment) {
    let delay = hooks.exited(number, success: exit?.code == 0, at: now.boot, dice: &dice)
    guard let delay else {
      actions.append(.commit([.dropCheat(number)], then: .nothing))
      return
    }
    let how = exit.map { $0.signal.map { "was ended by signal \($0)" } ?? "exited with \($0.code ?? 0)" }
    log(
      .warning, .cheatReported,
      "the hook for cheat reports \(how ?? "could not be started"); it is run again in \(delay.wholeSeconds) s")
  }
}
