import CLinux
import Glibc

/// A process to be made, and everything it gets: nothing is inherited but what is named here.
public struct SpawnRequest: Sendable {
  /// Path of the program; no search.
  public var executable: String
  public var arguments: [String]
  /// NAME=VALUE, the whole environment.
  public var environment: [String]
  /// Become 3, 4, ... in the new process.
  public var descriptors: [Descriptor] = []
  /// nil: /dev/null.
  public var standardInput: Descriptor?
  /// nil: ours.
  public var standardOutput: Descriptor?
  /// nil: ours.
  public var standardError: Descriptor?
  /// Its own session, and so its own process group, which can be signalled as a whole.
  public var newSession = false
  public var workingDirectory: String?
  /// Its soft limit of open descriptors (getrlimit(2)); nil: ours.
  public var descriptorLimit: UInt64?
  /// It and its children cannot read this file, as `Landlock` has it, where `canHideFiles`.
  public var hiddenFile: String?
  /// It becomes another user, and gets the capabilities for that, if they were cleared with `AmbientCapabilities`.
  public var changesUser = false

  public init(executable: String, arguments: [String], environment: [String]) {
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
  }

  /// Whether this process may hide files from those that it starts.
  public static var canHideFiles: Bool { Landlock.isUsable }

  /// Makes the process by posix_spawn, signal mask and dispositions as at the start of a session.
  /// - Returns: its pid; it is the caller's to reap.
  public func spawn() throws(SystemError) -> pid_t {
    guard let hiddenFile, Self.canHideFiles else { return try spawnFromHere() }
    // What is hidden stays so for the thread, which therefore ends with this.
    let results = Mailbox<Result<pid_t, SystemError>>()
    try BackgroundThread.start {
      results.put(
        Result { () throws(SystemError) in
          try Landlock.hide(hiddenFile)
          return try spawnFromHere()
        })
      results.close()
    }
    guard let result = results.takeAll()?.elements.first else {
      throw SystemError("posix_spawn", executable, code: EIO)
    }
    return try result.get()
  }

  private func spawnFromHere() throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    try failing("posix_spawn_file_actions_init") { posix_spawn_file_actions_init(&actions) }
    defer { posix_spawn_file_actions_destroy(&actions) }
    try failing("posix_spawnattr_init") { posix_spawnattr_init(&attributes) }
    defer { posix_spawnattr_destroy(&attributes) }

    // Sources are moved out of the way first, so that none is overwritten before it has been copied.
    var sources: [(from: Descriptor, to: Int32)] = []
    for (descriptor, target) in [(standardInput, 0), (standardOutput, 1), (standardError, 2)] {
      if let descriptor { sources.append((try descriptor.duplicatedHigh(), Int32(target))) }
    }
    for (index, descriptor) in descriptors.enumerated() {
      sources.append((try descriptor.duplicatedHigh(), Int32(3 + index)))
    }
    if standardInput == nil {
      try failing("posix_spawn_file_actions_addopen") {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
      }
    }
    for (from, target) in sources {
      try failing("posix_spawn_file_actions_adddup2") {
        posix_spawn_file_actions_adddup2(&actions, from.number, target)
      }
    }
    try failing("posix_spawn_file_actions_addclosefrom_np") {
      posix_spawn_file_actions_addclosefrom_np(&actions, Int32(3 + descriptors.count))
    }
    if let workingDirectory {
      try failing("posix_spawn_file_actions_addchdir_np") {
        posix_spawn_file_actions_addchdir_np(&actions, workingDirectory)
      }
    }

    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    try failing("posix_spawnattr_setsigmask") { posix_spawnattr_setsigmask(&attributes, &none) }
    try failing("posix_spawnattr_setsigdefault") { posix_spawnattr_setsigdefault(&attributes, &all) }
    var flags = Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF)
    if newSession { flags |= Int16(SPAWN_NEW_SESSION) }
    try failing("posix_spawnattr_setflags") { posix_spawnattr_setflags(&attributes, flags) }

    var pid: pid_t = 0
    // posix_spawn has no attributes for these, so they are ours for as long as the call takes.
    let ours = try descriptorLimit.map { limit throws(SystemError) in try DescriptorLimit.set(soft: limit) }
    if changesUser { AmbientCapabilities.raiseForAnotherUser() }
    let code = withCStrings(arguments) { argv in
      withCStrings(environment) { envp in
        posix_spawn(&pid, executable, &actions, &attributes, argv, envp)
      }
    }
    if changesUser { try AmbientCapabilities.clear() }
    if let ours { try DescriptorLimit.set(soft: ours) }
    // The copies must outlive the call.
    withExtendedLifetime(sources) {}
    guard code == 0 else { throw SystemError("posix_spawn", executable, code: code) }
    return pid
  }

  /// These functions return the error and leave errno alone.
  private func failing(_ call: String, _ body: () -> Int32) throws(SystemError) {
    let code = body()
    if code != 0 { throw SystemError(call, "for \(executable)", code: code) }
  }

  private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
  ) -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
  }
}
