import Glibc
import Messages
import Platform
import TestSupport
import Testing

@testable import Control

/// What `top` shows, compared as a whole: alignment is part of it.
@Suite struct TopTests {
  private func job(_ number: Int) -> JobID { JobID(high: 0x4000, low: 0x8000 << 48 | UInt64(number)) }

  private func sample(
    _ report: ServiceReport?, seconds: Int64 = 10, failure: String? = nil, _ usage: [Int: ProcessUsage] = [:]
  ) -> TopSample {
    var sample = TopSample(failure: failure)
    sample.nanoseconds = seconds * 1_000_000_000
    sample.wall = 1_795_516_200_000
    sample.report = report
    sample.usage = usage
    return sample
  }

  private func usage(_ processorSeconds: Double, _ mebibytes: UInt64, start: UInt64 = 1) -> ProcessUsage {
    ProcessUsage(
      parent: 4710, startTime: start, processorNanoseconds: UInt64(processorSeconds * 1e9),
      residentBytes: mebibytes << 20)
  }

  private var jobs: [JobReport] {
    [
      JobReport(job: job(1), phase: .ended, seconds: 5, statuses: [.received, .completed], queued: 1),
      JobReport(job: job(2), phase: .dispatching, seconds: 90, statuses: [.received, .accepted], queued: 11),
      JobReport(job: job(3), phase: .accepted, seconds: 30, statuses: [.received], queued: 0),
    ]
  }

  @Test func theWholePicture() {
    let earlier = sample(
      ServiceReport(
        children: someChildren, uplink: UplinkReport(state: someState(stored: 450, delivered: 456))),
      seconds: 8, [4710: usage(1, 20), 4711: usage(2, 29), 99: usage(0, 1)])
    let now = sample(
      ServiceReport(children: someChildren, uplink: UplinkReport(state: someState(), jobs: jobs)),
      [4710: usage(1, 20), 4711: usage(2.25, 30), 99: usage(4, 700)])
    #expect(
      TopFrame(now, since: earlier).lines(width: .max, height: .max).joined(separator: "\n") == """
        hordelink 0.1.0  2026-11-24T10:30:00Z
        facilitator  ready
        queue        12 queued (oldest 1m 15s), 3 in flight, 456 delivered, 1 dead
        retrying     2 jobs whose next update failed: refused, or the connection was lost with it
        jobs         2 open
        rates        10.0 stored/s, 0.0 delivered/s
        phases       1 accepted, 1 dispatching, 1 ended

        PROCESS      PID  STATE     SINCE  RESTARTS/H   CPU%        RSS  JOB
        supervisor  4710  running       -           -    0.0   20.0 MiB  -
        uplink      4711  ready    2h 03m           2   12.5   30.0 MiB  -
        listener       -  backoff      5s          10      -          -  11111111-2222-4333-8444-555555555555
        command       99  running  1d 01h           0  200.0  700.0 MiB  11111111-2222-4333-8444-555555555555

        JOB                                      AGE  QUEUED  PHASE        STATUS
        00000000-0000-4000-8000-000000000003     30s       0  accepted     received
        00000000-0000-4000-8000-000000000002  1m 30s      11  dispatching  accepted
        00000000-0000-4000-8000-000000000001      5s       1  ended        completed
        """)
  }

  @Test func ratesNeedTwoPicturesOfTheSameUplink() {
    let now = sample(ServiceReport(children: [], uplink: UplinkReport(state: someState())))
    let later = sample(ServiceReport(children: [], uplink: UplinkReport(state: someState(stored: 900))), seconds: 5)
    let none = sample(nil, seconds: 5, failure: "it is away")
    for before in [nil, later, none, now] {
      #expect(
        TopFrame(now, since: before).lines(width: 80, height: 24).contains("rates        - stored/s, - delivered/s")
          || before?.report != nil)
    }
    #expect(TopFrame(now, since: later).lines(width: 80, height: 24)[5].hasPrefix("rates        - stored/s, 0.0"))
  }

  /// A pid that is another process's by now says nothing about the time it has had.
  @Test func aProcessIsKnownByItsStartToo() {
    let report = ServiceReport(children: someChildren, uplink: nil)
    let earlier = sample(report, seconds: 9, [4711: usage(1, 1)])
    let now = sample(report, [4711: usage(2, 1, start: 2)])
    let line = TopFrame(now, since: earlier).lines(width: .max, height: .max).first { $0.hasPrefix("uplink") }
    #expect(line?.split(separator: " ").suffix(4).joined(separator: " ") == "- 1.0 MiB -")
  }

  @Test func whoDoesNotAnswerIsSaidToBeSo() {
    let away = sample(nil, failure: "/run/x: nobody\u{1b}[2J")
    #expect(
      TopFrame(away, since: nil).lines(width: 80, height: 24) == [
        "hordelink 0.1.0  2026-11-24T10:30:00Z", #"no answer: /run/x: nobody\u{1b}[2J"#,
      ])
    let silent = TopFrame(sample(ServiceReport(children: someChildren, uplink: nil)), since: nil)
    let lines = silent.lines(width: 20, height: 24)
    #expect(lines[1] == "Uplink does not answ")
    #expect(lines.contains { $0.hasPrefix("listener") } && !lines.contains { $0.hasPrefix("JOB") })
  }

  /// Whatever there is and however small the terminal, it fits, and what is left out is counted.
  @Test func everyPictureFits() {
    var random = SplitMix64(state: testSeed("top"))
    for _ in 0..<300 {
      let processes = Int.random(in: 0...60, using: &random)
      let count = Int.random(in: 0...60, using: &random)
      let children = (0..<processes).map { number in
        ChildReport(
          name: "listener", job: job(number), pid: number, generation: 1, state: "ready", seconds: 1,
          restartsLastHour: 0, lastDeath: "")
      }
      let jobs = (0..<count).map {
        JobReport(job: job($0), phase: .accepted, seconds: $0, statuses: [.received], queued: 0)
      }
      let now = sample(
        ServiceReport(children: children, uplink: UplinkReport(state: someState(lastLoss: "é\nx"), jobs: jobs)))
      let width = Int.random(in: 0...150, using: &random)
      let height = Int.random(in: 0...100, using: &random)
      let lines = TopFrame(now, since: nil).lines(width: width, height: height)
      #expect(lines.count <= height && lines.allSatisfy { $0.count <= width && !$0.contains("\n") })
      guard height >= 20, width >= 120 else { continue }
      // Rows that name a process or a job, and those that were left out.
      let shown = lines.count { $0.contains("00000000-0000-4000-8000-") }
      let left = lines.compactMap { $0.hasPrefix("and ") ? Int($0.split(separator: " ")[1]) : nil }.reduce(0, +)
      #expect(shown + left == processes + count, "\(lines)")
      // No room is wasted while something is left out.
      if left > 0 { #expect(lines.count == height) }
    }
  }

  @Test(arguments: [(100, 3, 4, 3, 4), (10, 50, 2, 8, 2), (10, 2, 50, 2, 8), (10, 50, 50, 5, 5), (0, 5, 5, 0, 0)])
  func roomIsShared(room: Int, first: Int, second: Int, one: Int, two: Int) {
    #expect(TopFrame.share(room, first, second) == (one, two))
  }

  @Test(arguments: [
    (0 as UInt64, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB"), (.max, "16777216.0 TiB"),
  ])
  func sizesHaveTheirLargestUnit(bytes: UInt64, text: String) { #expect(TopFrame.size(bytes) == text) }

  @Test func thisProcessTakesSomething() throws {
    let usage = try #require(ProcessTable.usage(of: pid_t(getpid())))
    #expect(usage.parent == getppid() && usage.residentBytes > 1 << 20)
    #expect(usage.startTime == ProcessTable.startTime(of: getpid()))
    #expect(ProcessTable.usage(of: 0) == nil)
  }
}
