import Messages

extension Figures {
  /// All of it, and how things stand now, as an OpenMetrics text. A label has few values, all of them known here: no
  /// job is named.
  ///
  /// - Parameters:
  ///   - queueAge: since when the oldest update waits.
  ///   - forHook: how many wait for the hook.
  func text(_ state: UplinkState, queueAge: Duration, forHook: Int) -> String {
    var text = OpenMetricsText()
    text.info("hordelink_build", "The release.", [("version", hordelinkVersion)])
    text.gauge(
      "hordelink_start_time_seconds", unit: "seconds",
      "When this Uplink started, in seconds since 1970. All counters begin with it, but those of restarts.",
      "\(Double(startedAt.milliseconds) / 1000)")
    writeJobs(state, to: &text)
    writeUpdates(state, queueAge, to: &text)
    text.gauge(
      "hordelink_hook_queue_depth", "Stored updates that [hooks] on_status_update has not taken yet.", "\(forHook)")
    text.counter(
      "hordelink_hook_updates_dropped", "Stored updates that it does not get, for want of room.", hookUpdatesDropped)
    writeRecord(state, to: &text)
    writeConnection(state, to: &text)
    text.counter(
      "hordelink_restarts", "Successors of processes that died, since the Supervisor started.", by: "role",
      [
        ("uplink", restarts.uplink), ("specs-listener", restarts.specsListener), ("listener", restarts.listener),
      ])
    return text.text
  }

  private func writeJobs(_ state: UplinkState, to text: inout OpenMetricsText) {
    text.counter("hordelink_jobs_received", "Jobs that were accepted and stored.", jobsReceived)
    text.counter(
      "hordelink_jobs_refused", "Job requests that started nothing, by why.", by: "reason",
      Refusal.allCases.map { ($0.rawValue, jobsRefused[$0] ?? 0) })
    text.counter(
      "hordelink_jobs_ended", "Jobs whose terminal status was stored, by that status.", by: "outcome",
      JobStatus.allCases.filter(\.isTerminal).map { ($0.name, jobsEnded[$0] ?? 0) })
    text.gauge("hordelink_jobs_open", "Jobs without a terminal status.", "\(state.openJobs)")
    text.histogram(
      "hordelink_job_duration_seconds", "From a job's request to its terminal status, on the machine's boot clock.",
      jobTime)
    text.gauge("hordelink_draining", "1 while a person has new jobs refused.", state.draining ? "1" : "0")
  }

  private func writeUpdates(_ state: UplinkState, _ queueAge: Duration, to text: inout OpenMetricsText) {
    text.counter("hordelink_updates_stored", "Status updates that became durable.", updatesStored)
    text.counter(
      "hordelink_updates_delivered", "Status updates that the facilitator accepted.", updatesDelivered)
    text.counter(
      "hordelink_updates_retried",
      "Attempts after which an update is tried again: refusals, and connections lost with it alone in flight.",
      updatesRetried)
    text.gauge(
      "hordelink_updates_retrying", "Jobs whose next update has failed and is tried again.", "\(state.retrying)")
    text.counter("hordelink_updates_dead", "Status updates that became dead letters.", updatesDead)
    text.gauge("hordelink_dead_letters", "Dead letters that wait for a person.", "\(state.dead)")
    text.gauge(
      "hordelink_queue_depth", "Status updates that are stored and not accepted yet.", "\(state.queued)")
    text.gauge(
      "hordelink_queue_age_seconds", unit: "seconds",
      "Since when the oldest of them is stored, on the wall clock; 0 when there is none.",
      OpenMetricsText.seconds(queueAge))
    text.gauge("hordelink_updates_in_flight", "Messages that wait for the facilitator's answer.", "\(state.inFlight)")
    text.histogram(
      "hordelink_delivery_seconds",
      "From an update's being stored to its being accepted by the facilitator, on the wall clock.", deliveryTime)
    text.counter(
      "hordelink_specs_delivered", "Machine specs whose arrival the facilitator has confirmed.", specsDelivered)
  }

  private func writeRecord(_ state: UplinkState, to text: inout OpenMetricsText) {
    text.histogram("hordelink_commit_seconds", "From asking for a commit until it is durable.", commitTime)
    text.counter(
      "hordelink_transactions", "Transactions of the record, each with all commits that were asked for by then.",
      transactions)
    text.gauge(
      "hordelink_record_bytes", unit: "bytes",
      "What counts against [outbox] max_bytes: updates, dead letters and the requests of open jobs.",
      "\(state.bytes)")
    text.gauge(
      "hordelink_full", "1 while workers wait for room there and new jobs are turned away.", by: "what",
      ["record", "disk"].map { ($0, state.full == $0) })
  }

  private func writeConnection(_ state: UplinkState, to text: inout OpenMetricsText) {
    text.state(
      "hordelink_facilitator_connection", "The state of the facilitator's connection.", state.session,
      of: Session.State.names)
    text.counter(
      "hordelink_facilitator_losses", "Authenticated connections to the facilitator that ended.", connectionsLost)
    text.counter(
      "hordelink_facilitator_failed_attempts", "Attempts that came to no authenticated connection.", attemptsFailed)
  }
}
