// hordelink-power-cut: looks for a power cut after which something acknowledged is missing.

import ArgumentParser
import Glibc
import Platform
import PowerCut

struct PowerCutCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hordelink-power-cut",
    abstract: "Records what Uplink writes under kills and failed syncs, and opens what a power cut may leave of it.",
    discussion: "The last line prints the counts. Exit codes: 0 nothing is wrong; 1 something is.")

  @Option(name: .long, help: "How many different disk states.")
  var states = 10_000

  @Option(name: .long, help: "What the faults and the disk states follow from; random by default.")
  var seed: UInt64?

  @Flag(name: .long, help: "The record is opened without a sync, as before decision 0020: something must be found.")
  var withoutSync = false

  func run() throws {
    let seed = seed ?? UInt64.random(in: 1...UInt64.max)
    print("seed \(seed)")
    let counts = try PowerCut.run(
      states: states, programs: ProcessTable.ownFolder(), seed: seed,
      failpoint: withoutSync ? PowerCut.withoutSync : nil
    ) {
      print($0)
      fflush(nil)
    }
    for finding in counts.findings { print("FOUND: \(finding)") }
    print(counts)
    if counts.lost > 0 { throw ArgumentParser.ExitCode(1) }
  }
}

PowerCutCommand.main()
