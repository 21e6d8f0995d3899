// The whole system under load, beside a client in the shape of the original: figures on standard output, a line of JSON
// each, and how it gets on to standard error.
//
//   hordelink-bench-whole burst JOBS... | backlog UPDATES | jobs NUMBER | latency | dispatch | memory JOBS... | cost
//                         [--seconds N] [--subjects hordelink,peer,sink] [--layer pubsub|core] [--programs FOLDER]

import Glibc
import Platform
import Rehearsal

do {
  let options = try Options(Array(CommandLine.arguments.dropFirst()))
  // Two for each job here.
  _ = try DescriptorLimit.raise()
  switch options.command {
  case "burst": try Burst.main(options)
  case "backlog": try Backlog.main(options)
  case "jobs": try WholeJobs.main(options)
  case "latency": try Latency.main(options)
  case "dispatch": try Dispatch.main(options)
  case "memory": try MemoryUse.main(options)
  case "cost": try UpdateCost.main(options)
  default:
    throw RehearsalError(
      "\(options.command) is no benchmark; there are burst, backlog, jobs, latency, dispatch, memory and cost")
  }
} catch {
  Terminal.complain("hordelink-bench-whole: \(error)")
  exit(1)
}
