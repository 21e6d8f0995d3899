import Messages
import Testing

@testable import Control

/// What scripts read: the names are a promise, so they stand here in full.
@Suite struct ReportJSONTests {
  private let uplink =
    #""uplink":{"session":"waiting","last_loss":"say \"no\"","open_jobs":2,"queued":12,"#
    + #""queue_age_seconds":75,"in_flight":3,"stored":470,"delivered":456,"retrying":2,"dead":1,"record_bytes":0,"full":null,"draining":false}"#
  private let report = UplinkReport(state: someState(session: "waiting", lastLoss: #"say "no""#))

  @Test func status() {
    #expect(
      ReportJSON.status(ServiceReport(children: Array(someChildren.prefix(2)), uplink: report))
        == "{" + uplink + #","children":[{"name":"uplink","job":null,"pid":4711,"generation":3,"state":"ready","#
        + #""seconds_in_state":7384,"restarts_last_hour":2,"last_death":"killed by signal 9"},"#
        + #"{"name":"listener","job":"11111111-2222-4333-8444-555555555555","pid":null,"generation":0,"#
        + #""state":"backoff","seconds_in_state":5,"restarts_last_hour":10,"last_death":"exit 70"}]}"#)
    #expect(
      ReportJSON.status(ServiceReport(children: [], uplink: nil)) == #"{"uplink":null,"children":[]}"#)
  }

  @Test func jobs() throws {
    var report = report
    report.jobs = [
      JobReport(
        job: try #require(JobID(jobText)), phase: .ended, seconds: 9, statuses: [.received, .failed], queued: 2)
    ]
    #expect(
      ReportJSON.jobs(report)
        == "{" + uplink
        + #","jobs":[{"job":"11111111-2222-4333-8444-555555555555","phase":"ended","seconds":9,"queued":2,"#
        + #""statuses":["received","failed"]}]}"#)
    #expect(ReportJSON.jobs(nil) == #"{"uplink":null,"jobs":null}"#)
  }

  @Test func queue() throws {
    var report = report
    report.queue = [
      QueueEntry(
        id: 7, job: try #require(JobID(jobText)), status: .executorReady, attempts: 1, inFlight: true)
    ]
    #expect(
      ReportJSON.queue(report)
        == "{" + uplink + #","queue":[{"id":7,"job":"11111111-2222-4333-8444-555555555555","#
        + #""status":"executor_ready","attempts":1,"in_flight":true}]}"#)
    #expect(ReportJSON.queue(nil) == #"{"uplink":null,"queue":null}"#)
  }
}
