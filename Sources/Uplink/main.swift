// hordelink-uplink: the record. Holds the facilitator's connection, the database of jobs and updates, and every
// rule about order.
//
// Started by hordelink-supervisor only, with the descriptors of Messages/Identifiers.swift.

import Glibc
import Messages
import Platform

do {
  exit(try Program.run())
} catch {
  Terminal.complain("hordelink-uplink: \(error)")
  exit((error as? CannotStart)?.code ?? ExitCode.software)
}
