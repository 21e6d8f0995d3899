// hordelink-simulate: looks for a seed that breaks a promise.

import ArgumentParser
import Glibc
import Platform
import Simulation

struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hordelink-simulate",
    abstract: "Runs the whole system in simulated time, one seed after the other, and looks for a broken promise.",
    discussion: "A seed that breaks one is printed and replays exactly. Exit codes: 0 none found; 1 found.")

  @Option(name: .long, help: "How many seeds.")
  var seeds = 1000

  @Option(name: .long, help: "The first of them.")
  var seed: UInt64 = 1

  @Option(name: .long, help: "How many threads.")
  var threads = 2

  @Option(
    name: .long, help: "Break the system on purpose: \(Mutation.allCases.map(\.rawValue).joined(separator: ", ")).")
  var mutation: Mutation?

  @Flag(name: .long, help: "Print what happens.")
  var trace = false

  func validate() throws {
    guard seeds > 0, threads > 0 else { throw ValidationError("--seeds and --threads are above 0.") }
  }

  func run() throws {
    let start = Clock.bootNanoseconds
    let results = Mailbox<(steps: Int, findings: Int)>()
    for thread in 0..<threads {
      try BackgroundThread.start {
        var total = (steps: 0, findings: 0)
        for index in stride(from: thread, to: seeds, by: threads) { runOne(seed &+ UInt64(index), &total) }
        results.put(total)
      }
    }
    var (steps, findings, done) = (0, 0, 0)
    while done < threads, let (finished, _) = results.takeAll() {
      for result in finished {
        steps += result.steps
        findings += result.findings
      }
      done += finished.count
    }
    let seconds = Double(Clock.bootNanoseconds - start) / 1_000_000_000
    let rate = Int(Double(steps) / max(seconds, 0.001))
    print("\(seeds) seeds from \(seed): \(steps) steps, \(rate) steps a second, \(findings) findings")
    if findings > 0 { throw ArgumentParser.ExitCode(1) }
  }

  private func runOne(_ seed: UInt64, _ total: inout (steps: Int, findings: Int)) {
    let outcome = Simulation.run(seed: seed, mutation: mutation, traces: trace)
    total.steps += outcome.steps
    var text = trace ? outcome.trace.joined(separator: "\n") + "\n" : ""
    if let finding = outcome.finding {
      total.findings += 1
      text += "seed \(seed): \(finding)\n  replay: make simulate SEEDS=1 SEED=\(seed) TRACE=1\n"
    }
    if !text.isEmpty { print(text, terminator: "") }
  }
}

extension Mutation: ExpressibleByArgument {}

SimulateCommand.main()
