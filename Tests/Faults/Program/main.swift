// hordelink-faults: kills real processes under load and counts what is lost.

import ArgumentParser
import FaultCampaign
import Platform

struct FaultsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hordelink-faults",
    abstract: "Kills the programs of its folder under load, and compares what workers were told with what arrived.",
    discussion: "The last line prints the counts. Exit codes: 0 nothing is wrong; 1 something is.")

  @Option(name: .long, help: "How many kills.")
  var kills = 1000

  @Option(name: .long, help: "What the kills follow from; random by default.")
  var seed: UInt64?

  func run() throws {
    let seed = seed ?? UInt64.random(in: 1...UInt64.max)
    print("seed \(seed)")
    let programs = try ProcessTable.ownFolder()
    func campaign(_ kind: Campaign.Kind, _ kills: Int) throws -> Counts {
      try Campaign.run(kind, kills: kills, programs: programs, seed: seed) { print("\(kind): \($0)") }
    }
    let counts = try campaign(.launcher, kills - kills / 4) + campaign(.worker, kills / 4)
    for finding in counts.findings { print("FOUND: \(finding)") }
    print(counts)
    if !counts.isClean { throw ArgumentParser.ExitCode(1) }
  }
}

FaultsCommand.main()
