/// What a peer has not taken yet of what is sent to it over a non-blocking socket.
struct OutgoingBytes {
  private var bytes: [UInt8] = []
  private var sent = 0

  var waiting: Int { bytes.count - sent }

  mutating func append(_ more: [UInt8]) { bytes.append(contentsOf: more) }

  /// Sends as much as the socket takes now.
  mutating func flush(to socket: Descriptor) throws(SystemError) {
    while waiting > 0 {
      let rest = bytes[sent...]
      let count = try rest.withUnsafeBytes { buffer -> Result<Int, SystemError> in
        do throws(SystemError) { return .success(try UnixSocket.send(socket, buffer)) } catch { return .failure(error) }
      }.get()
      if count == 0 { break }
      sent += count
    }
    if waiting == 0 {
      bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 16)
      sent = 0
    } else if sent > 1 << 20 {
      bytes.removeFirst(sent)
      sent = 0
    }
  }
}
