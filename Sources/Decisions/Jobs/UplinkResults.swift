import Messages

// What workers have left of the tasks of jobs that run.
extension UplinkCore {
  /// Nothing is looked for, and nothing wakes us, while no job is open or the service stops.
  var looksForResults: Bool { results != nil && supervisorIsTold && stopStep == nil && room.openJobs > 0 }

  mutating func lookForResults(at now: Instant) {
    guard looksForResults else { return carryOut(results?.rest() ?? []) }
    guard var results, results.nextDeadline <= now else { return }
    let found = results.serve(at: now, dice: &dice) {
      jobs.filter { $0.value.phase == .dispatching && $0.value.isTask }.keys.sorted()
    }
    self.results = results
    carryOut(found)
  }

  mutating func resultsSaid(_ event: TaskResults.Event, at now: Instant) {
    guard let said = results?.handle(event, at: now, dice: &dice) else { return }
    carryOut(said)
  }

  private mutating func carryOut(_ found: [TaskResults.Action]) {
    for action in found {
      switch action {
      case .connect:
        if let server = settings.tasks?.results { actions.append(.connectResults(server)) }
      case .disconnect: actions.append(.disconnectResults)
      case .send(let commands): actions.append(.sendResults(commands))
      case .log(let priority, let text): log(priority, .resultsUnread, text)
      case .ended(let id, let exit):
        // Its Listener is to read first what was reported before it.
        guard jobs[id]?.phase == .dispatching, supervisorIsTold, stopStep == nil else { continue }
        actions.append(.toSupervisor(.taskEnded(id, exit)))
      }
    }
  }
}
