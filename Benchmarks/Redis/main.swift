// A thousand jobs at once whose workers report through Redis: how long they take, and what their Listeners have in memory.
//
//   hordelink-bench-redis [JOBS]        default 1000

import Glibc
import Measurements
import Messages
import Platform
import Rehearsal

let jobCount = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 1000
let programs = try ProcessTable.ownFolder()
// Listeners' sockets here, and the server's two connections for each job.
_ = try DescriptorLimit.raise()

do {
  let idle = try Idle(jobCount, ["/bin/sleep", "600"], hasSockets: false)
  print(Memory.line("/bin/sleep", try idle.memory()))
  try idle.end()
}
do {
  let idle = try Idle(jobCount, [programs + "/hordelink-listener"], hasSockets: true)
  print(Memory.line("hordelink-listener, told nothing", try idle.memory()))
  try idle.end()
}
for layer in [Layer.pubsub, .core] {
  let run = try Run(layer, jobs: jobCount, programs: programs)
  defer { run.tearDown() }
  try run.measure()
}
