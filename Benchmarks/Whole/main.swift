// The whole system under load, beside a client in the shape of the original: figures on standard output, a line of JSON
// each, and how it gets on to standard error.
//
//   hordelink-bench-whole burst JOBS... [--seconds N] [--subjects hordelink,peer,sink] [--layer pubsub|core]
//                                       [--programs FOLDER]

import Glibc
import Platform
import Rehearsal

do {
  let options = try Options(Array(CommandLine.arguments.dropFirst()))
  // Two for each job here.
  _ = try DescriptorLimit.raise()
  switch options.command {
  case "burst": try Burst.main(options)
  default: throw RehearsalError("\(options.command) is no benchmark; there is burst")
  }
} catch {
  Terminal.complain("hordelink-bench-whole: \(error)")
  exit(1)
}
