// The way of an update through Uplink and its Listener, step by step, for an instruction counter; and how fast the Store
// stores.
//
//   hordelink-bench-paths list                      the names of the paths, one a line
//   hordelink-bench-paths PATH COUNT                does it for COUNT updates; a multiple of 320, 3,200 at most
//   hordelink-bench-paths group-commit [SECONDS [BATCH METADATA]]
//
// group-commit prints JSON lines as hordelink-bench-floor does; SECONDS is 5 for each figure.
//
// What a path needs is made before, and does not depend on COUNT: what COUNT updates more cost is the path's alone.

import Glibc
import Messages
import Platform

let arguments = Array(CommandLine.arguments.dropFirst())
let usage = "usage: hordelink-bench-paths list | PATH COUNT | group-commit [SECONDS [BATCH METADATA]]"

switch (arguments.first, arguments.dropFirst().first) {
case ("list", nil):
  for path in Path.all { print(path.name) }
case ("group-commit", let seconds):
  let numbers = arguments.dropFirst(2).compactMap { Int($0) }
  guard let seconds = Double(seconds ?? "5"), seconds > 0, numbers.count == max(0, arguments.count - 2),
    numbers.isEmpty || (numbers.count == 2 && (1...100_000).contains(numbers[0]) && (0...1 << 20).contains(numbers[1]))
  else { fallthrough }
  let batches = numbers.isEmpty ? GroupCommit.batches : [numbers[0]]
  let sizes = numbers.isEmpty ? GroupCommit.sizes : [numbers[1]]
  for metadata in sizes {
    for batch in batches { try GroupCommit.measure(batch: batch, metadata: metadata, seconds: seconds) }
  }
default:
  guard let path = Path.all.first(where: { $0.name == arguments.first }), arguments.count == 2,
    let count = Int(arguments[1]), count % Sample.round == 0, (1...Sample.capacity).contains(count)
  else {
    Terminal.complain(usage)
    exit(ExitCode.usage)
  }
  let run = try path.prepare()
  for round in 0..<(count / Sample.round) { try run(round) }
}
