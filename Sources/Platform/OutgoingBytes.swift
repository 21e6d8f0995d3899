/// What a peer has not taken yet of what is sent to it over a non-blocking socket.
struct OutgoingBytes {
  /// What is small is put together, so that it goes out together; what is larger is kept as it is, and not copied.
  private static let joined = 1 << 16
  /// As much room is kept for what follows. There may be many connections.
  private static let keptCapacity = 4096

  private var bytes: [UInt8] = []
  private var sent = 0
  /// What follows `bytes`.
  private var later: [[UInt8]] = []
  private var laterBytes = 0

  var waiting: Int { bytes.count - sent + laterBytes }

  mutating func append(_ more: [UInt8]) {
    guard !later.isEmpty || bytes.count + more.count > Self.joined else {
      bytes.append(contentsOf: more)
      return
    }
    if let last = later.indices.last, later[last].count + more.count <= Self.joined {
      later[last].append(contentsOf: more)
    } else {
      later.append(more)
    }
    laterBytes += more.count
  }

  /// Sends as much as the socket takes now.
  mutating func flush(to socket: Descriptor) throws(SystemError) {
    while waiting > 0 {
      if sent == bytes.count {
        bytes = later.removeFirst()
        laterBytes -= bytes.count
        sent = 0
      }
      let rest = bytes[sent...]
      let count = try rest.withUnsafeBytes { buffer -> Result<Int, SystemError> in
        do throws(SystemError) { return .success(try UnixSocket.send(socket, buffer)) } catch { return .failure(error) }
      }.get()
      if count == 0 { return }
      sent += count
    }
    if bytes.capacity <= Self.keptCapacity { bytes.removeAll(keepingCapacity: true) } else { bytes = [] }
    sent = 0
  }
}
