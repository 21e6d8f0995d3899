/// The release, as it is told to the facilitator and shown by every program.
public let hordelinkVersion = "0.1.0"
