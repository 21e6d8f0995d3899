import Glibc
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

extension EndToEnd {
  /// `hordelinkctl top` in a terminal and without one.
  @Suite struct Top {
    private static let restored = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"

    @Test func aViewInATerminalFollowsTheServiceAndLeavesNothingBehind() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let top = try TerminalProgram(rehearsal, ["top", "--interval", "0.1"])
        #expect(try top.read(until: "\(job)").hasPrefix("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l"))
        #expect(!top.echoes)
        // A restart of the service is waited for.
        try rehearsal.stopSupervisor()
        try top.read(until: "no answer: ")
        try rehearsal.startSupervisor()
        try top.read(until: "facilitator  ready")
        try top.type("xq")
        #expect(try top.end()?.code == 0)
        #expect(try top.read(until: Self.restored).hasSuffix(Self.restored))
        #expect(top.echoes)
      }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func aSignalEndsItAndTheTerminalIsAsBefore(signal: Int32) throws {
      try onStage(connected: false) { rehearsal in
        _ = try rehearsal.readyChild("uplink")
        let top = try TerminalProgram(rehearsal, ["top"])
        try top.read(until: "supervisor")
        top.process.signal(signal)
        #expect(try top.end()?.code == 0)
        try top.read(until: Self.restored)
        #expect(top.echoes)
      }
    }

    @Test func withoutATerminalOnePictureIsPrinted() throws {
      try onStage { rehearsal in
        let job = try rehearsal.startJob()
        let (code, output) = try rehearsal.control(["top"])
        let text = String(decoding: output, as: UTF8.self)
        #expect(code == 0 && text.contains("supervisor") && text.contains("\(job)  "))
        #expect(!text.contains("\u{1b}"))
      }
      try onStage(started: false) { rehearsal in
        let code = try rehearsal.control(["top"]).code
        #expect(code == 69)
      }
    }

    @Test func aSilentUplinkIsToldByTheExitCode() throws {
      try onStage { rehearsal in
        let uplink = try rehearsal.readyChild("uplink")
        ProcessTable.signal(pid_t(uplink.pid), SIGSTOP)
        for command in ["status", "top"] {
          let (code, output) = try rehearsal.control([command])
          let text = String(decoding: output, as: UTF8.self)
          #expect(code == 75 && text.contains("specs-listener"), "\(command): \(text)")
        }
        ProcessTable.signal(pid_t(uplink.pid), SIGCONT)
      }
    }
  }
}

/// hordelinkctl on a pseudo-terminal of 24 rows.
private final class TerminalProgram {
  let process: RunningProcess
  private let ours: Descriptor
  private let theirs: Descriptor
  private var output = ""

  init(_ rehearsal: Rehearsal, _ arguments: [String]) throws {
    // A pair by pts(4); the calls for it are among those that Swift's Glibc module leaves out.
    ours = Descriptor(owning: open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC))
    var locked: Int32 = 0
    var number: UInt32 = 0
    // TIOCSPTLCK and TIOCGPTN of tty_ioctl(4).
    try #require(ioctl(ours.number, 0x4004_5431, &locked) == 0)
    try #require(ioctl(ours.number, 0x8004_5430, &number) == 0)
    theirs = Descriptor(owning: open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC))
    var size = winsize(ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0)
    try #require(ioctl(theirs.number, UInt(TIOCSWINSZ), &size) == 0)
    let program = rehearsal.settings.programs + "/hordelinkctl"
    var request = SpawnRequest(
      executable: program, arguments: [program] + arguments + ["--runtime-directory", rehearsal.runtimeDirectory],
      environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"] + Rehearsal.sanitizerOptions)
    request.standardInput = theirs
    request.standardOutput = theirs
    request.standardError = theirs
    process = try RunningProcess(pid: try request.spawn())
  }

  /// Whether the terminal echoes what is typed, as a shell wants it.
  var echoes: Bool {
    var settings = termios()
    return tcgetattr(theirs.number, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
  }

  func type(_ keys: String) throws {
    let bytes = Array(keys.utf8)
    try #require(write(ours.number, bytes, bytes.count) == bytes.count)
  }

  /// Waits until that has been written; returns all that came up to then, and forgets it.
  @discardableResult
  func read(until text: String) throws -> String {
    let deadline = Deadline.after(milliseconds: 20_000)
    while !output.contains(text) {
      guard try Waiting.readable([ours], milliseconds: deadline.millisecondsLeft)[0],
        let bytes = try ours.read(upTo: 65_536), !bytes.isEmpty
      else { throw RehearsalError("the terminal does not show \(text), but:\n\(output)") }
      output += String(decoding: bytes, as: UTF8.self)
    }
    defer { output = "" }
    return output
  }

  func end() throws -> RunningProcess.Ending? { try process.wait(milliseconds: 10_000) }
}
