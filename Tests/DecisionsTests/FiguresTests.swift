import Messages
import TestSupport
import Testing

@testable import Decisions

extension UplinkUnderTest {
  /// What a scraper would read now.
  fileprivate func scrape() throws -> OpenMetrics { try OpenMetrics(core.openMetrics(at: now)) }

  fileprivate func figure(_ name: String, _ labels: [String: String] = [:]) throws -> Double? {
    try scrape().value("hordelink_" + name, labels)
  }
}

/// Each figure moves when what it counts happens, and only then.
@Suite struct FiguresTests {
  @Test func aNewUplinkHasEveryFigureAtItsStart() throws {
    let uplink = UplinkUnderTest()
    let families = try uplink.scrape().families
    #expect(try uplink.figure("build_info", ["version": hordelinkVersion]) == 1)
    #expect(try uplink.figure("start_time_seconds") == 1_000_000)
    #expect(try uplink.figure("facilitator_connection", ["hordelink_facilitator_connection": "connecting"]) == 1)
    let atStart = ["hordelink_build", "hordelink_start_time_seconds", "hordelink_facilitator_connection"]
    for (name, family) in families where !atStart.contains(name) {
      #expect(family.samples.allSatisfy { $0.value == 0 }, "\(name)")
    }
    #expect(families.count == 29)
  }

  @Test func jobsAreCountedByWhatBecameOfTheirRequests() throws {
    let uplink = UplinkUnderTest(.test(maxOpenJobs: 1))
    uplink.connect()
    uplink.request(job(1))
    // Not before it is durable.
    #expect(try uplink.figure("jobs_received_total") == 0)
    uplink.settle()
    #expect(try uplink.figure("jobs_received_total") == 1)
    #expect(try uplink.figure("jobs_open") == 1)
    uplink.request(job(1))
    uplink.request(job(2))
    uplink.request(job(3), refusal: "forged")
    uplink.settle()
    for reason in ["known", "busy", "invalid_signature"] {
      #expect(try uplink.figure("jobs_refused_total", ["reason": reason]) == 1, "\(reason)")
    }
    #expect(try uplink.figure("jobs_received_total") == 1)
    // A refused request is no job that has ended.
    #expect(try uplink.figure("jobs_ended_total", ["outcome": "rejected"]) == 0)
  }

  @Test(arguments: [JobStatus.completed, .failed, .rejected, .hordeFailed])
  func aJobsEndIsCountedWithItsDuration(status: JobStatus) throws {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.pass(200)
    uplink.update(1, 1, status)
    #expect(try uplink.figure("jobs_ended_total", ["outcome": status.name]) == 0)
    uplink.settle()
    #expect(try uplink.figure("jobs_ended_total", ["outcome": status.name]) == 1)
    #expect(try uplink.figure("jobs_open") == 0)
    #expect(try uplink.figure("job_duration_seconds_sum") == 200)
    #expect(try uplink.figure("job_duration_seconds_bucket", ["le": "60.0"]) == 0)
    #expect(try uplink.figure("job_duration_seconds_bucket", ["le": "300.0"]) == 1)
  }

  /// The record knows when it began.
  @Test func aJobsDurationGoesOnAcrossARestart() throws {
    let uplink = UplinkUnderTest(.test(launcher: true))
    uplink.run(job(1))
    uplink.pass(50)
    uplink.restart()
    uplink.settle()
    uplink.pass(50)
    uplink.supervisor(.dispatchFailed(job(1), reason: "no"))
    uplink.settle()
    #expect(try uplink.figure("jobs_ended_total", ["outcome": "horde_failed"]) == 1)
    #expect(try uplink.figure("job_duration_seconds_sum") == 100)
  }

  @Test func updatesAreCountedOnTheirWay() throws {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.update(1, 1, .accepted)
    #expect(try uplink.figure("updates_stored_total") == 1)
    uplink.settle()
    #expect(try uplink.figure("updates_stored_total") == 2)
    #expect(try uplink.figure("queue_depth") == 2)
    uplink.pass(3)
    #expect(try uplink.figure("queue_age_seconds") == 3)
    uplink.connect()
    #expect(try uplink.figure("updates_in_flight") == 1)
    uplink.facilitator(.success)
    #expect(try uplink.figure("updates_delivered_total") == 1)
    #expect(try uplink.figure("delivery_seconds_sum") == 3)
    #expect(try uplink.figure("delivery_seconds_bucket", ["le": "1.0"]) == 0)
    #expect(try uplink.figure("delivery_seconds_bucket", ["le": "5.0"]) == 1)
    uplink.facilitator(errors("job.odd"))
    #expect(try uplink.figure("updates_retried_total") == 1)
    #expect(try uplink.figure("updates_retrying") == 1)
    uplink.takesAnother()
    for seconds in [1.0, 10, 60] {
      for _ in 0..<Int(seconds) {
        uplink.pass(1)
        uplink.does(.ponged(0, connection: uplink.connection))
        uplink.does(.timeReached)
      }
      uplink.facilitator(errors("job.odd"))
      uplink.takesAnother()
    }
    #expect(try uplink.figure("updates_retried_total") == 4)
    #expect(try uplink.figure("updates_retrying") == 0)
    #expect(try uplink.figure("updates_dead_total") == 1)
    #expect(try uplink.figure("dead_letters") == 1)
    #expect(try uplink.figure("queue_depth") == 0)
    #expect(try uplink.figure("queue_age_seconds") == 0)
    uplink.settle()
    uplink.supervisor(.query(1, .drop([2])))
    uplink.settle()
    #expect(try uplink.figure("dead_letters") == 0)
    #expect(try uplink.figure("updates_dead_total") == 1)
  }

  @Test func theQueuesAgeIsThatOfTheOldestInTheRecord() throws {
    var record = RecordModel()
    for number in 1...3 {
      record.carryOut(
        .insertJob(
          NewJob(
            job: job(number), receivedAt: WallTime(milliseconds: 0), body: [], signatureHash: nil, limitSeconds: 1)))
      record.carryOut(
        .insertUpdate(entry(Int64(number), job(number), .received, storedAt: 999_900_000 + Int64(number) * 10_000)))
    }
    let uplink = UplinkUnderTest(record: record)
    #expect(try uplink.figure("queue_age_seconds") == 90)
    uplink.connect()
    uplink.facilitator(.success)
    #expect(try uplink.figure("queue_age_seconds") == 80)
  }

  /// A clock that is set back makes nobody wait for less than nothing.
  @Test func aClockThatIsSetBackGivesNoNegativeFigures() throws {
    let uplink = UplinkUnderTest()
    uplink.run(job(1))
    uplink.now.wall.milliseconds -= 5000
    #expect(try uplink.figure("queue_age_seconds") == 0)
    uplink.connect()
    uplink.facilitator(.success)
    #expect(try uplink.figure("delivery_seconds_sum") == 0)
    #expect(try uplink.figure("delivery_seconds_count") == 1)
  }

  @Test func commitsAreMeasuredFromTheAskingToTheDisk() throws {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    #expect(uplink.core.oldestCommit == at(0))
    uplink.pass(0.02)
    uplink.request(job(2))
    uplink.pass(0.02)
    uplink.settleOne()
    #expect(uplink.core.oldestCommit == at(0.02))
    uplink.settle()
    #expect(uplink.core.oldestCommit == nil)
    #expect(try uplink.figure("commit_seconds_count") == 2)
    #expect(try uplink.figure("commit_seconds_sum") == 0.06)
    #expect(try uplink.figure("commit_seconds_bucket", ["le": "0.01"]) == 0)
    #expect(try uplink.figure("commit_seconds_bucket", ["le": "0.025"]) == 1)
    #expect(try uplink.figure("commit_seconds_bucket", ["le": "0.1"]) == 2)
    // The second one of a status waits for the first one's commit, and writes nothing.
    uplink.listener(1, .hello(job(1)))
    uplink.update(1, 1, .accepted)
    uplink.update(1, 2, .accepted)
    uplink.settle()
    #expect(try uplink.figure("commit_seconds_count") == 3)
  }

  @Test func connectionsAndAttemptsAreCountedApart() throws {
    let uplink = UplinkUnderTest()
    let state = { try uplink.figure("facilitator_connection", ["hordelink_facilitator_connection": $0]) }
    uplink.does(.timeReached)
    #expect(try state("connecting") == 1)
    uplink.does(.lost(reason: "refused", connection: 1))
    #expect(try uplink.figure("facilitator_failed_attempts_total") == 1)
    #expect(try uplink.figure("facilitator_losses_total") == 0)
    uplink.pass(40)
    uplink.connect()
    #expect(try state("ready") == 1)
    #expect(try state("connecting") == 0)
    uplink.does(.lost(reason: "cut", connection: 2))
    #expect(try state("waiting") == 1)
    #expect(try uplink.figure("facilitator_failed_attempts_total") == 1)
    #expect(try uplink.figure("facilitator_losses_total") == 1)
  }

  @Test func machineSpecsCountOnceTheyHaveArrived() throws {
    let uplink = UplinkUnderTest()
    uplink.connect()
    uplink.listener(1, .hello(nil))
    let specs = MachineSpecs(minerHotkey: "m", batchID: "b", specs: [1])
    uplink.listener(1, .specs(SequenceNumber(1), specs))
    uplink.settle()
    #expect(try uplink.figure("specs_delivered_total") == 0)
    uplink.does(.ponged(.max, connection: uplink.connection))
    #expect(try uplink.figure("specs_delivered_total") == 1)
  }

  @Test func aFullRecordAndAFullDiskAreToldApart() throws {
    let uplink = UplinkUnderTest(.test(maxRows: 2))
    #expect(
      uplink.core.health(at: uplink.now).isWell
        && uplink.core.health(at: uplink.now).text == "ok\nfacilitator: connecting\n")
    uplink.request(job(1))
    uplink.settle()
    #expect(try uplink.figure("full", ["what": "record"]) == 1)
    #expect(try uplink.figure("full", ["what": "disk"]) == 0)
    #expect(try uplink.figure("record_bytes") == Double(OutboxEntry.overhead + 7))
    #expect(!uplink.core.health(at: uplink.now).isWell && uplink.core.health(at: uplink.now).text.contains("max_rows"))
    uplink.does(.disk(isFull: true))
    #expect(try uplink.figure("full", ["what": "disk"]) == 1)
    #expect(uplink.core.health(at: uplink.now).text.hasPrefix("the disk has no room"))
  }

  @Test func drainingAndRestartsAreTold() throws {
    let uplink = UplinkUnderTest()
    uplink.supervisor(.refuseJobs(true))
    #expect(try uplink.figure("draining") == 1)
    var restarts = ChildRestarts()
    restarts.uplink = 2
    restarts.listener = 7
    uplink.supervisor(.restarts(restarts))
    #expect(try uplink.figure("restarts_total", ["role": "uplink"]) == 2)
    #expect(try uplink.figure("restarts_total", ["role": "specs-listener"]) == 0)
    #expect(try uplink.figure("restarts_total", ["role": "listener"]) == 7)
  }
}

/// The Supervisor counts, and tells.
@Suite struct RestartCountTests {
  private func told(_ actions: [SupervisorCore.Action]) -> [ChildRestarts] {
    actions.compactMap { if case .toUplink(.restarts(let restarts)) = $0 { restarts } else { nil } }
  }

  private let metrics = ListenSettings(host: "127.0.0.1", port: 9464)

  @Test func eachRestartIsToldByItsRole() {
    var supervisor = SupervisorUnderTest.ready(metrics: metrics)
    supervisor.uplink(.openJob(OpenJob(job: job(1), phase: .accepted)))
    var expected = ChildRestarts()
    expected.specsListener = 1
    #expect(told(supervisor.exits(.listener(.specs), .signal(9))) == [expected])
    expected.listener = 1
    #expect(told(supervisor.exits(.listener(.job(job(1))), .signal(9))) == [expected])
    // Uplink's own is told to its successor, once that hears.
    expected.uplink = 1
    #expect(told(supervisor.exits(.uplink, .signal(9))).isEmpty)
    #expect(told(supervisor.uplink(.ready)) == [expected])
  }

  @Test func nothingIsToldWithoutMetrics() {
    var supervisor = SupervisorUnderTest.ready()
    #expect(told(supervisor.exits(.listener(.specs), .signal(9))).isEmpty)
    supervisor.exits(.uplink, .signal(9))
    #expect(told(supervisor.uplink(.ready)).isEmpty)
  }
}

@Suite struct OpenMetricsTextTests {
  @Test func whatALabelHoldsIsEscaped() throws {
    var text = OpenMetricsText()
    text.info("x", "a \"quoted\"\nhelp with \\", [("v", "1\\2\n\"3\"")])
    #expect(
      text.text
        == "# TYPE x info\n# HELP x a \\\"quoted\\\"\\nhelp with \\\\\nx_info{v=\"1\\\\2\\n\\\"3\\\"\"} 1\n# EOF\n")
    #expect(try OpenMetrics(text.text).value("x_info", ["v": "1\\2\n\"3\""]) == 1)
  }

  /// A bucket holds what is at its bound.
  @Test func bucketsAreCumulative() throws {
    var histogram = Histogram(bounds: [.milliseconds(1), .seconds(1), .seconds(60)])
    for milliseconds in [0, 1, 2, 1000, 1001, 60_001, -5] { histogram.observe(.milliseconds(milliseconds)) }
    var text = OpenMetricsText()
    text.histogram("h_seconds", "help", histogram)
    let read = try OpenMetrics(text.text)
    for (bound, count) in [("0.001", 3.0), ("1.0", 5), ("60.0", 6), ("+Inf", 7)] {
      #expect(read.value("h_seconds_bucket", ["le": bound]) == count, "\(bound)")
    }
    #expect(read.value("h_seconds_count") == 7 && read.value("h_seconds_sum") == 62.005)
  }

  /// The reader in these tests refuses what a scraper would.
  @Test func aDiskThatHangsIsAnIllnessAfterTenSeconds() {
    let uplink = UplinkUnderTest()
    uplink.request(job(1))
    uplink.pass(9)
    #expect(uplink.core.health(at: uplink.now).isWell)
    uplink.pass(1)
    let (isWell, text) = uplink.core.health(at: uplink.now)
    #expect(!isWell && text.hasPrefix("a commit has taken 10 s"))
    uplink.settle()
    #expect(uplink.core.health(at: uplink.now).isWell)
  }

  /// A day's outage of a hundred thousand updates makes a sum of more nanoseconds than 64 bits hold.
  @Test func aLongSumIsTold() throws {
    var histogram = Histogram(bounds: [.seconds(1)])
    for _ in 0..<100 { histogram.observe(.seconds(4_000_000_000)) }
    var text = OpenMetricsText()
    text.histogram("h_seconds", "help", histogram)
    #expect(try OpenMetrics(text.text).value("h_seconds_sum") == 4e11)
  }

  @Test(arguments: [
    "# TYPE a counter\n# HELP a h\na_total 1\n", "# TYPE a counter\n# HELP a h\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a h\na{b=\"1} 1\n# EOF\n", "# TYPE a gauge\n# UNIT a seconds\n# HELP a h\na 1\n# EOF\n",
    "# TYPE a gauge\n# HELP a h\na 1\na 2\n# EOF\n",
    "# TYPE a histogram\n# HELP a h\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# EOF\n",
    "# TYPE a histogram\n# HELP a h\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# EOF\n",
  ])
  func theReaderIsStrict(text: String) { #expect(throws: OpenMetrics.Wrong.self) { try OpenMetrics(text) } }
}
