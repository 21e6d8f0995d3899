import Messages
import Testing

@testable import Control

/// What people read, compared as a whole: alignment is part of it.
@Suite struct ReportTextTests {
  @Test func statusShowsTheConnectionTheQueueAndEveryProcess() {
    let report = ServiceReport(children: someChildren, uplink: UplinkReport(state: someState()))
    #expect(
      ReportText.status(report) == """
        facilitator  ready
        queue        12 queued (oldest 1m 15s), 3 in flight, 456 delivered, 1 dead
        retrying     2 jobs whose next update failed: refused, or the connection was lost with it
        jobs         2 open

        NAME      JOB                                    PID  GENERATION  STATE     SINCE  RESTARTS/H  LAST DEATH
        uplink    -                                     4711           3  ready    2h 03m           2  killed by signal 9
        listener  11111111-2222-4333-8444-555555555555     -           -  backoff      5s          10  exit 70
        command   11111111-2222-4333-8444-555555555555    99           -  running  1d 01h           0  -
        """)
  }

  @Test func aConnectionThatIsNotReadySaysWhyItWasLost() {
    let report = ServiceReport(
      children: [], uplink: UplinkReport(state: someState(session: "waiting", lastLoss: "closed with 1001")))
    #expect(ReportText.status(report).hasPrefix("facilitator  waiting; last lost: closed with 1001\n"))
    let ready = ServiceReport(
      children: [], uplink: UplinkReport(state: someState(session: "ready", lastLoss: "closed with 1001")))
    #expect(ReportText.status(ready).hasPrefix("facilitator  ready\n"))
  }

  @Test func anUplinkThatDoesNotAnswerIsSaidToBeSo() {
    let text = ReportText.status(ServiceReport(children: someChildren, uplink: nil))
    #expect(text.hasPrefix("Uplink does not answer"))
    #expect(text.contains("killed by signal 9"))
  }

  /// What other machines said reaches a terminal as text only.
  @Test func whatOthersSaidCannotUpsetATerminal() {
    let hostile = "\u{1b}[2J\r\nFORGED  LINE\u{9b}31m\u{202e}"
    let state = UplinkReport(state: someState(session: "waiting", lastLoss: hostile))
    var child = someChildren[0]
    child.lastDeath = hostile
    let text = ReportText.status(ServiceReport(children: [child], uplink: state))
    #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count == 7)
    #expect(!text.unicodeScalars.contains { $0 != "\n" && ($0.value < 32 || $0.value == 0x9b || $0.value == 0x202e) })
    #expect(text.contains(#"\u{1b}[2J\u{d}\u{a}FORGED"#))
  }

  @Test func jobsAreListed() throws {
    let job = try #require(JobID(jobText))
    let report = UplinkReport(
      state: someState(),
      jobs: [
        JobReport(job: job, phase: .dispatching, seconds: 75, statuses: [.received, .accepted], queued: 1),
        JobReport(job: job, phase: .accepted, seconds: 1, statuses: [], queued: 120),
      ])
    #expect(
      ReportText.jobs(report) == """
        JOB                                      AGE  QUEUED  PHASE        STATUSES
        11111111-2222-4333-8444-555555555555  1m 15s       1  dispatching  received accepted
        11111111-2222-4333-8444-555555555555      1s     120  accepted     -
        """)
    #expect(ReportText.jobs(UplinkReport(state: someState())) == "no job is open")
  }

  @Test func theQueueIsListedAndSaysHowMuchIsNotShown() throws {
    let job = try #require(JobID(jobText))
    let entries = [
      QueueEntry(id: 9, job: job, status: .accepted, attempts: 0, inFlight: true),
      QueueEntry(id: 1000, job: job, status: .hordeFailed, attempts: 11, inFlight: false),
    ]
    let table = """
        ID  JOB                                   STATUS        ATTEMPTS  IN FLIGHT
         9  11111111-2222-4333-8444-555555555555  accepted             0  yes
      1000  11111111-2222-4333-8444-555555555555  horde_failed        11  no
      """
    #expect(ReportText.queue(UplinkReport(state: someState(queued: 2), queue: entries)) == table)
    #expect(
      ReportText.queue(UplinkReport(state: someState(queued: 30), queue: entries)) == table + "\nand 28 more")
    #expect(ReportText.queue(UplinkReport(state: someState(queued: 0))) == "nothing is queued")
  }

  @Test(arguments: [
    (-1, "0s"), (0, "0s"), (59, "59s"), (60, "1m 00s"), (3599, "59m 59s"), (3600, "1h 00m"), (86_399, "23h 59m"),
    (86_400, "1d 00h"), (Int.max, "106751991167300d 15h"),
  ])
  func aLengthOfTimeHasItsTwoLargestUnits(seconds: Int, text: String) {
    #expect(TextTable.duration(seconds: seconds) == text)
  }
}
