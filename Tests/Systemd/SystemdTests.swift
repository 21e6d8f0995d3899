import Glibc
import JSON
import Messages
import Platform
import Rehearsal
import Stage
import Testing
import WorkerClient

/// The installed package under a real systemd.
@Suite(.serialized, .onMachine) enum SystemdTests {}

extension SystemdTests {
  @Suite struct Units {
    @Test func theUnitsAreRightAndTight() throws {
      let machine = try #require(OnMachine.machine)
      for unit in ["hordelink.service", "hordelink@one.service"] {
        // A machine with an empty /etc finds no manual pages.
        let verified = try machine.run("systemd-analyze", "--man=no", "verify", "/usr/lib/systemd/system/\(unit)")
        #expect(verified.code == 0 && verified.text.isEmpty, "\(verified.text)")
        // In tenths: 15 is 1.5.
        let security = try machine.run("systemd-analyze", "security", "--threshold=15", unit)
        #expect(security.code == 0, "\(security.text.split(separator: "\n").last ?? "")")
      }
    }

    @Test func aWrongConfigurationIsNamedAndNotTriedAgain() throws {
      try Service.with(settings: ["jobs": "max_opne = 3"], started: false) { service in
        #expect(try service.machine.run("systemctl", "start", "hordelink").code != 0)
        #expect(try service.property("ExecMainStatus") == "78")
        #expect(try service.property("ActiveState") == "failed")
        #expect(try service.property("NRestarts") == "0")
        // Where people look for what went wrong.
        let said = try service.journal("-u", "hordelink", "-p", "crit")
        let named = said.first { $0["MESSAGE"]?.stringValue?.contains("max_opne") ?? false }
        #expect(named?["MESSAGE"]?.stringValue?.hasPrefix("/etc/hordelink/hordelink.toml:") ?? false, "\(said)")
      }
    }

    @Test func aMissingHotkeyIsNamedWithWhereItBelongs() throws {
      try Service.with(started: false) { service in
        try service.machine.run("rm", "/etc/credstore/hotkey")
        #expect(try service.machine.run("systemctl", "start", "hordelink").code != 0)
        #expect(try service.property("ExecMainStatus") == "78")
        let said = try service.journal("-u", "hordelink").compactMap { $0["MESSAGE"]?.stringValue }
        #expect(said.contains { $0.contains("/etc/credstore/hotkey") }, "\(said)")
      }
    }

    @Test func aJobsStoryIsInTheJournal() throws {
      try Service.with { service in
        #expect(try service.property("ActiveState") == "active")
        let job = try service.startJob()
        for status in reported { try service.worker(job).acknowledged(status) }
        try service.expectAccepted(job, [.received] + reported)
        try service.machine.until("the status line") {
          try service.property("StatusText").hasPrefix("facilitator ready; 0 jobs open")
        }
        let story = try service.journal("JOB_UUID=\(job)")
        let messages = story.compactMap { $0["MESSAGE"]?.stringValue }
        for part in ["job received", "stored accepted", "delivered completed", "command started"] {
          #expect(messages.contains(part), "\(messages)")
        }
        #expect(story.allSatisfy { $0["MESSAGE_ID"] != nil && $0["_SYSTEMD_UNIT"]?.stringValue == "hordelink.service" })
        let children = try service.journal("CHILD=listener", "JOB_UUID=\(job)")
        #expect(!children.isEmpty && children.allSatisfy { $0["CHILD_PID"] != nil && $0["GENERATION"] != nil })
        // A child's own words are found with what is said about it.
        #expect(try !service.journal("CHILD=uplink", "JOB_UUID=\(job)").isEmpty)
        let explained = try service.machine.run("journalctl", "-x", "--no-pager", "JOB_UUID=\(job)").text
        #expect(explained.contains("Defined-By: hordelink"), "\(explained)")
      }
    }

    @Test func nobodyElseGetsIn() throws {
      try Service.with { service in
        let job = try service.startJob()
        let machine = service.machine
        let connect = """
          import socket, sys
          with socket.socket(socket.AF_UNIX) as s:
              s.connect(sys.argv[1])
              s.sendall(bytes([0, 0, 0, 1, 0xc1]))
              print(s.recv(1000))
          """
        func attempt(_ socket: String, groups: String...) throws -> Machine.Result {
          let path = "/run/hordelink/" + socket
          return try machine.run(
            "setpriv", "--reuid=nobody", "--regid=nogroup", groups.isEmpty ? "--clear-groups" : "--groups=\(groups[0])",
            "python3", "-c", connect, path)
        }
        for socket in ["jobs/\(job)/worker.sock", "specs.sock", "control.sock", "uplink.sock"] {
          let stranger = try attempt(socket)
          #expect(stranger.code != 0 && stranger.text.contains("PermissionError"), "\(stranger.text)")
        }
        // A member of the group reaches the workers' sockets and no other.
        for socket in ["jobs/\(job)/worker.sock", "specs.sock"] {
          #expect(try attempt(socket, groups: "hordelink").text.contains("malformed"))
        }
        for socket in ["control.sock", "uplink.sock"] {
          #expect(try attempt(socket, groups: "hordelink").text.contains("PermissionError"))
        }
      }
    }

    @Test func whateverIsKilledComesBackAndNothingIsLost() throws {
      try Service.with { service in
        let job = try service.startJob()
        let worker = service.worker(job)
        var refused: [SystemError] = []
        worker.onRetry = { if [ECONNREFUSED, ENOENT].contains($0.code) { refused.append($0) } }
        try worker.acknowledged(.accepted)
        var victim = try service.readyChild("listener", job: job)
        _ = try service.machine.run("kill", "-9", "\(victim)").checked()
        try worker.acknowledged(.executorReady)
        victim = try service.readyChild("uplink")
        _ = try service.machine.run("kill", "-9", "\(victim)").checked()
        try worker.acknowledged(.volumesReady)
        let before = try service.property("MainPID")
        _ = try service.machine.run("kill", "-9", before).checked()
        // Told while nobody is there: the socket is, and it waits.
        try worker.acknowledged(.executionDone)
        #expect(try service.property("MainPID") != before)
        #expect(try service.property("NRestarts") == "1")
        try worker.acknowledged(.completed)
        try service.expectAccepted(job, [.received] + reported)
        #expect(refused.isEmpty)
      }
    }

    @Test func aSupervisorThatHangsIsReplacedByTheWatchdog() throws {
      try Service.with(started: false) { service in
        try service.dropIn("WatchdogSec=2\nTimeoutAbortSec=1")
        try service.start()
        let job = try service.startJob()
        let before = try service.property("MainPID")
        _ = try service.machine.run("kill", "-STOP", before).checked()
        for status in reported { try service.worker(job).acknowledged(status) }
        try service.expectAccepted(job, [.received] + reported)
        try service.machine.until("a new Supervisor") {
          try service.property("MainPID") != before && service.property("ActiveState") == "active"
        }
        let said = try service.journal("_PID=1", "UNIT=hordelink.service").compactMap { $0["MESSAGE"]?.stringValue }
        #expect(said.contains { $0.contains("Watchdog timeout") })
      }
    }

    @Test func aJournalThatHangsHoldsNothingUp() throws {
      try Service.with(started: false) { service in
        try service.dropIn("WatchdogSec=2")
        try service.start()
        let supervisor = try service.property("MainPID")
        let journald = try service.machine.run("pidof", "systemd-journald").checked().trimmingNewline
        _ = try service.machine.run("kill", "-STOP", journald).checked()
        defer { _ = try? service.machine.run("kill", "-CONT", journald) }
        // More lines than the journal's socket takes, each of which would wait for it.
        for _ in 0..<60 {
          let job = JobID.random()
          try service.facilitator.sendJob(job)
          try service.expectAccepted(job, [.received])
          for status in reported { try service.worker(job).acknowledged(status) }
          try service.expectAccepted(job, [.received] + reported)
        }
        _ = try service.machine.run("kill", "-CONT", journald).checked()
        #expect(try service.property("MainPID") == supervisor)
        #expect(try service.property("NRestarts") == "0")
      }
    }

    @Test func aStopEndsTheJobsThatRanHereAndLeavesNothingBehind() throws {
      let command = "trap '' TERM; sleep 600 & wait; wait"
      try Service.with(
        settings: ["dispatch": "command = [\"/bin/sh\", \"-c\", \"\(command)\"]\nstop_seconds = 3"], started: false
      ) { service in
        // Less than the command's own time: the service asks for what it needs.
        try service.dropIn("TimeoutStopSec=1")
        try service.start()
        let job = try service.startJob()
        try service.machine.until("the command runs") {
          try service.children().contains { $0.name == "command" }
        }
        _ = try service.machine.run("systemctl", "stop", "hordelink").checked()
        #expect(try service.property("Result") == "success")
        try service.expectAccepted(job, [.received, .hordeFailed])
        #expect(access(service.machine.outside("/run/hordelink"), F_OK) != 0)
        #expect(try service.machine.run("pgrep", "-u", "hordelink").code == 1)
      }
    }

    @Test func aReloadIsWaitedForAndAppliesWhatCanChange() throws {
      try Service.with { service in
        let before = try service.property("MainPID")
        _ = try service.startJob()
        _ = try service.machine.run(
          "sed", "-i", "s/^\\[jobs\\]/[jobs]\\nmax_open = 1/", "/etc/hordelink/hordelink.toml"
        ).checked()
        let count = service.facilitator.events.count
        _ = try service.machine.run("systemctl", "reload", "hordelink").checked()
        try service.waitUntilConnected(from: count)
        #expect(try service.property("MainPID") == before)
        #expect(try service.property("ActiveState") == "active")
        let second = JobID.random()
        try service.facilitator.sendJob(second)
        try service.expectAccepted(second, [.rejected])
      }
    }

    @Test func aFullDiskHoldsWorkersUntilThereIsRoom() throws {
      try Service.with(started: false) { service in
        let state = "/var/lib/hordelink"
        try service.machine.run("mkdir", "-p", state)
        _ = try service.machine.run("mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", state).checked()
        defer { _ = try? service.machine.run("sh", "-c", "systemctl stop hordelink; umount \(state)") }
        try service.start()
        let job = try service.startJob()
        try service.worker(job).acknowledged(.accepted)
        _ = try service.machine.run("sh", "-c", "cat /dev/zero > \(state)/filler 2>/dev/null; true").checked()
        // They wait for room, and are acknowledged when there is some.
        let socket = service.workerSocket(job)
        let answers = Mailbox<WorkerClient.Answer>()
        try BackgroundThread.start {
          let worker = WorkerClient(socketPath: socket, job: job, patienceMilliseconds: 100_000)
          for status in reported.dropFirst() { if let answer = try? worker.send(status) { answers.put(answer) } }
          answers.close()
        }
        try service.machine.until("the status line says it") {
          try service.property("StatusText").contains("the disk is full")
        }
        let second = JobID.random()
        try service.facilitator.sendJob(second)
        try service.expectAccepted(second, [.rejected])
        try service.machine.run("rm", state + "/filler")
        #expect(answers.takeUntilClosed() == reported.dropFirst().map { _ in .stored })
        try service.expectAccepted(job, [.received] + reported)
        try service.machine.until("the status line says it no more") {
          try !service.property("StatusText").contains("full")
        }
        let third = try service.startJob()
        try service.worker(third).acknowledged(.accepted)
      }
    }

    @Test func aDamagedRecordLeavesTheServiceUpAndDegraded() throws {
      try Service.with(started: false) { service in
        let file = "/var/lib/hordelink/hordelink.db"
        try service.machine.run("mkdir", "-p", "/var/lib/hordelink")
        try service.machine.write("this is no database, whatever its name says", to: file)
        _ = try service.machine.run("systemctl", "start", "hordelink").checked()
        #expect(try service.property("ActiveState") == "active")
        #expect(try service.property("StatusText").hasPrefix("degraded: uplink"))
        let before = service.facilitator.events.count
        _ = try service.machine.run("rm", file).checked()
        try service.waitUntilConnected(from: before)
        try service.machine.until("it is well again") { try !service.property("StatusText").contains("degraded") }
      }
    }

    @Test func aCommandsUserIsItsOwnAndNobodyButTheSupervisorHasCapabilities() throws {
      let words = "[\"/bin/sh\", \"-c\", \"echo who $(id -un) $(grep CapPrm /proc/self/status); exec sleep 600\"]"
      try Service.with(
        settings: ["dispatch": "command = \(words)\nuser = \"jobs\"\nstop_seconds = 5"], started: false
      ) { service in
        let machine = service.machine
        _ = try machine.run("useradd", "--system", "--groups", "hordelink", "jobs").checked()
        let folder = "/etc/systemd/system/hordelink.service.d"
        try machine.run("mkdir", "-p", folder)
        _ = try machine.run("cp", "/usr/share/doc/hordelink/drop-ins/dispatch-user.conf", folder).checked()
        _ = try machine.run("systemctl", "daemon-reload").checked()
        try service.start()
        let job = try service.startJob()
        let children = try [service.readyChild("uplink"), service.readyChild("listener", job: job)]
        for pid in children {
          let status = try machine.run("cat", "/proc/\(pid)/status").checked()
          #expect(status.contains("CapPrm:\t0000000000000000"), "\(status)")
        }
        try machine.until("the command says who it is") {
          let said = try service.journal("JOB_UUID=\(job)").compactMap { $0["MESSAGE"]?.stringValue }
          return said.contains("who jobs CapPrm: 0000000000000000")
        }
        // It is stopped, although it is another user's.
        _ = try machine.run("systemctl", "stop", "hordelink").checked()
        #expect(try machine.run("pgrep", "-u", "jobs").code == 1)
        try service.expectAccepted(job, [.received, .hordeFailed])
      }
    }

    /// The credential is a file of the service's user, which is the commands' too.
    @Test func aCommandReadsNeitherTheHotkeyNorUplinksMemory() throws {
      let script = """
        #!/bin/sh
        cat /run/credentials/hordelink.service/hotkey && echo the hotkey is read
        for process in /proc/[0-9]*; do
          case $(cat $process/comm) in hordelink-uplin*)
            head -c 1 $process/environ && echo uplink is read
          esac
        done
        cat /etc/passwd /usr/bin/env >/dev/null && ls / /run >/dev/null && echo the rest is read
        mkdir /tmp/$$ && touch /tmp/$$.file && mv /tmp/$$.file /tmp/$$ && echo files are moved
        exec sleep 600
        """
      try Service.with(
        settings: ["dispatch": "command = [\"/etc/look-around\"]\nstop_seconds = 5"], started: false
      ) { service in
        try service.machine.write(script + "\n", to: "/etc/look-around", mode: 0o755)
        defer { _ = try? service.machine.run("rm", "/etc/look-around") }
        try service.start()
        let job = try service.startJob()
        var said: [String] = []
        try service.machine.until("the command has looked around") {
          said = try service.journal("JOB_UUID=\(job)").compactMap { $0["MESSAGE"]?.stringValue }
          return said.contains("files are moved")
        }
        #expect(said.contains("the rest is read"), "\(said)")
        #expect(!said.contains("the hotkey is read") && !said.contains("uplink is read"), "\(said)")
        let remarks = try service.journal("_SYSTEMD_UNIT=hordelink.service").compactMap { $0["MESSAGE"]?.stringValue }
        #expect(!remarks.contains { $0.hasPrefix("commands can read the hotkey") })
      }
    }

    /// systemd hands its sockets over under the soft limit, and would start nothing ever again.
    @Test func theSocketsThatAreKeptFitTheLimitOfDescriptors() throws {
      try Service.with(started: false) { service in
        let folder = "/etc/systemd/system/hordelink.service.d"
        for dropIn in [nil, "max-open.conf"] {
          if let dropIn {
            try service.machine.run("mkdir", "-p", folder)
            _ = try service.machine.run("cp", "/usr/share/doc/hordelink/drop-ins/\(dropIn)", folder).checked()
            _ = try service.machine.run("systemctl", "daemon-reload").checked()
          }
          let kept = try #require(Int(try service.property("FileDescriptorStoreMax")))
          #expect(try #require(Int(try service.property("LimitNOFILESoft"))) > kept + 64)
        }
      }
    }

    @Test func aSecondInstanceLivesBesideTheFirst() throws {
      try Service.with { first in
        try Service.with(unit: "hordelink@other") { second in
          for service in [first, second] {
            let job = try service.startJob()
            for status in reported { try service.worker(job).acknowledged(status) }
            try service.expectAccepted(job, [.received] + reported)
          }
        }
        #expect(try first.property("ActiveState") == "active")
      }
    }
  }
}
