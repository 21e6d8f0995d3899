/// Bounds that both ends of a conversation keep.
public enum Limits {
  /// The largest frame from the facilitator, and so the largest job request, in bytes (PROTOCOL.md).
  public static let facilitatorFrameBytes = 16 << 20
  /// The largest frame on a control socket, in bytes: a job request and a little more.
  public static let controlFrameBytes = facilitatorFrameBytes + 65_536
  /// The largest order to a task dispatcher, in bytes: the largest job request, or several small arguments, and the rest.
  public static let taskOrderBytes = 2 * facilitatorFrameBytes
  /// The highest that max_frame_bytes may be, in bytes.
  public static let largestFrameBytes = 64 << 20
  /// The largest frame of a Listener that has not said hello, in bytes.
  public static let helloBytes = 1024
  /// What a frame between a Listener and Uplink may have beyond a worker's frame, in bytes.
  public static let updateOverheadBytes = 65_536
  /// How much of a command's stderr is kept for the details of its failure, in bytes.
  public static let stderrTailBytes = 4_096
  /// How long a Listener stays after its job's terminal status so that a lost acknowledgement can be asked
  /// for again, in seconds.
  public static let lingerSeconds = 10
}
