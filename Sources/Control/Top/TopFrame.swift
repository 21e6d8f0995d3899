import Messages
import Platform

/// What `hordelinkctl top` shows at one moment, as lines that fit.
struct TopFrame {
  private let now: TopSample
  private let before: TopSample?

  /// - Parameter before: an earlier sample with a report, from which rates are told.
  init(_ now: TopSample, since before: TopSample?) {
    self.now = now
    self.before = before
  }

  /// The lines of a screen of that size: the head, then processes and jobs, as many of each as there is room for.
  func lines(width: Int, height: Int) -> [String] {
    var lines = ["hordelink \(hordelinkVersion)  \(UTC.text(milliseconds: now.wall))"]
    if let failure = now.failure { lines.append("no answer: \(Terminal.printable(failure))") }
    if let report = now.report {
      if let uplink = report.uplink {
        lines += ReportText.state(uplink.state).split(separator: "\n").map(String.init)
        lines.append(rates(uplink.state))
        lines.append(phases(uplink.jobs))
      } else {
        lines.append(ReportText.uplinkIsSilent)
      }
      let processes = processes(report.children)
      let jobs = report.uplink.map { self.jobs($0.jobs) } ?? []
      // A title above each table, and an empty line above that.
      let room = max(0, height - lines.count - (jobs.isEmpty ? 2 : 4))
      let (some, others) = Self.share(room, processes.count, jobs.count)
      lines += [""] + Self.table(TextTable(Self.processColumns), processes, rows: some)
      if !jobs.isEmpty { lines += [""] + Self.table(TextTable(Self.jobColumns), jobs, rows: others) }
    }
    return lines.prefix(max(0, height)).map { String($0.prefix(max(0, width))) }
  }

  /// How many rows each of two tables gets: all of the shorter one, at most half of the room where neither fits.
  static func share(_ room: Int, _ first: Int, _ second: Int) -> (Int, Int) {
    let one = min(first, max(room / 2, room - second))
    return (one, min(second, room - one))
  }

  private static func table(_ empty: TextTable, _ rows: [[String]], rows count: Int) -> [String] {
    var table = empty
    // The last row there is room for says how many are left out.
    let shown = rows.count <= count ? rows.count : max(0, count - 1)
    for row in rows.prefix(shown) { table.add(row) }
    let lines = table.text.split(separator: "\n").map(String.init)
    return shown < rows.count && count > 0 ? lines + ["and \(rows.count - shown) more"] : lines
  }

  // MARK: The head

  private func rates(_ state: UplinkState) -> String {
    func rate(_ count: (UplinkState) -> Int) -> String {
      // A counter that has shrunk is another Uplink's.
      guard let before, let earlier = before.report?.uplink?.state, count(state) >= count(earlier),
        now.nanoseconds > before.nanoseconds
      else { return "-" }
      return Self.tenths(
        (Double(count(state)) - Double(count(earlier))) / (Double(now.nanoseconds - before.nanoseconds) / 1e9))
    }
    return "rates        \(rate(\.stored)) stored/s, \(rate(\.delivered)) delivered/s"
  }

  private func phases(_ jobs: [JobReport]) -> String {
    let counts = [JobPhase.accepted, .dispatching, .ended].map { phase in
      "\(jobs.count { $0.phase == phase }) \(phase.name)"
    }
    return "phases       " + counts.joined(separator: ", ")
  }

  // MARK: Processes

  private static let processColumns: [(title: String, alignment: TextTable.Alignment)] = [
    ("PROCESS", .left), ("PID", .right), ("STATE", .left), ("SINCE", .right), ("RESTARTS/H", .right),
    ("CPU%", .right), ("RSS", .right), ("JOB", .left),
  ]

  /// The service's own first, then those in trouble, then the busiest.
  private func processes(_ children: [ChildReport]) -> [[String]] {
    let keyed = children.enumerated().map { index, child in
      let isPermanent = child.job == nil
      let isInTrouble = child.state != "ready" && child.state != "running"
      return (rank: isPermanent ? 0 : isInTrouble ? 1 : 2, load: isPermanent ? 0 : load(child.pid) ?? 0, index, child)
    }
    let sorted = keyed.sorted { ($0.rank, -$0.load, $0.2) < ($1.rank, -$1.load, $1.2) }
    return supervisor(children)
      + sorted.map { _, _, _, child in
        [
          child.name, child.pid > 0 ? "\(child.pid)" : "", child.state, TextTable.duration(seconds: child.seconds),
          "\(child.restartsLastHour)",
        ] + taken(child.pid) + [child.job?.description ?? ""]
      }
  }

  private func supervisor(_ children: [ChildReport]) -> [[String]] {
    let own = Set(children.map(\.pid))
    guard let pid = now.usage.keys.first(where: { !own.contains($0) }) else { return [] }
    return [["supervisor", "\(pid)", "running", "", ""] + taken(pid) + [""]]
  }

  /// Processor and memory of a process.
  private func taken(_ pid: Int) -> [String] {
    [load(pid).map(Self.tenths) ?? "", now.usage[pid].map { Self.size($0.residentBytes) } ?? ""]
  }

  /// The share of one processor that a process has had since the sample before, in percent.
  private func load(_ pid: Int) -> Double? {
    guard let before, let usage = now.usage[pid], let earlier = before.usage[pid],
      usage.startTime == earlier.startTime, usage.processorNanoseconds >= earlier.processorNanoseconds,
      now.nanoseconds > before.nanoseconds
    else { return nil }
    return Double(usage.processorNanoseconds - earlier.processorNanoseconds)
      / Double(now.nanoseconds - before.nanoseconds) * 100
  }

  // MARK: Jobs

  private static let jobColumns: [(title: String, alignment: TextTable.Alignment)] = [
    ("JOB", .left), ("AGE", .right), ("QUEUED", .right), ("PHASE", .left), ("STATUS", .left),
  ]

  /// Those that are open first, the newest of each first.
  private func jobs(_ jobs: [JobReport]) -> [[String]] {
    func key(_ job: JobReport) -> (Int, Int, JobID) { (job.phase == .ended ? 1 : 0, job.seconds, job.job) }
    return jobs.sorted { key($0) < key($1) }.map { job in
      [
        job.job.description, TextTable.duration(seconds: job.seconds), "\(job.queued)", job.phase.name,
        job.statuses.last?.name ?? "",
      ]
    }
  }

  // MARK: Numbers

  /// With one decimal.
  static func tenths(_ number: Double) -> String {
    let tenths = Int(min(1e15, max(0, number * 10)).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  /// In the largest unit of which there is one.
  static func size(_ bytes: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var number = Double(bytes)
    var unit = 0
    while number >= 1024, unit < units.count - 1 {
      number /= 1024
      unit += 1
    }
    return unit == 0 ? "\(bytes) B" : "\(tenths(number)) \(units[unit])"
  }
}
