// hordelink-uplink: the record. Holds the facilitator's connection, the database of jobs and updates, and every
// rule about order.
//
// Started by hordelink-supervisor only, with the descriptors of Messages/Identifiers.swift.

import Glibc
import Messages

do {
  exit(try Program.run())
} catch {
  let line = Array("hordelink-uplink: \(error)\n".utf8)
  _ = write(STDERR_FILENO, line, line.count)
  exit((error as? CannotStart)?.code ?? ExitCode.software)
}
