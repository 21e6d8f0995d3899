/// A deliberate fault of the kind that the simulation exists to find.
public enum Mutation: String, CaseIterable, Sendable {
  /// A worker is answered before its update is on the disk.
  case acknowledgedBeforeCommit
  /// What waits in the record is read in the wrong order.
  case resentInWrongOrder
  /// That an update was accepted is not written down.
  case lostRetire
  /// What came through Redis is removed there before it is stored.
  case removedBeforeStored
  /// That a command has exited is told before its job's channel in Redis has been read.
  case exitBeforeChannelIsRead
  /// What a run of the hook gets is off the record when the run begins, and not when it has taken it.
  case hookDroppedAtStart
  /// Machine specs are off the record when they are sent, and not when they have arrived.
  case specsDroppedWhenSent
  /// An update is given up on at its fourth failed attempt, also while the facilitator takes no other.
  case countsEachAttempt
  /// An Uplink takes what its predecessor has written for stored, and does not sync it first.
  case opensWithoutSync
  /// A Listener reads on from workers when it has said that it has no room.
  case readsWithoutRoom
  /// Uplink reads on from the facilitator when as much has come as may wait to be looked at.
  case readsWithoutEnd
  /// The frame in which a Listener hands over an update leaves out the metadata.
  case metadataLostInFrame
  /// Uplink says that it has taken the settings of a reload, and goes on with the old ones.
  case reloadedOnOneSide
  /// What puts a hook's tasks into a queue ends well although the broker is away.
  case hookTaskLost
}

/// The whole system in simulated time, from one seed: Supervisor, Uplink, Listeners, workers, Redis and facilitator,
/// with kills, hangs, lost connections, a failing disk, stepped clocks and failing power.
public enum Simulation {
  /// What came of a run.
  public struct Outcome: Sendable {
    /// Events that a process of ours has handled.
    public var steps: Int
    /// The promise that was broken; nil when all were kept.
    public var finding: String?
    /// Follows from everything that happened: the same for the same seed.
    public var hash: UInt64
    /// What happened, when it was asked for.
    public var trace: [String]
  }

  /// Runs one seed.
  ///
  /// - Parameters:
  ///   - mutation: breaks the system in that way.
  ///   - traces: notes what happens, which takes its time.
  public static func run(seed: UInt64, mutation: Mutation? = nil, traces: Bool = false) -> Outcome {
    let world = World(seed: seed, mutation: mutation, traces: traces)
    world.live()
    return Outcome(steps: world.steps, finding: world.failure, hash: world.hash, trace: world.trace)
  }
}
