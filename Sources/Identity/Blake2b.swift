import CSodium

/// BLAKE2b without a key (RFC 7693), from libsodium.
public enum Blake2b {
  /// The 64-byte hash of `parts`, one after another, as though they had been joined.
  ///
  /// Signed requests are verified over this hash of the timestamp and the payload (PROTOCOL.md, "V2JobRequest").
  public static func hash512(_ parts: [UInt8]...) -> [UInt8] {
    hash(parts, count: 64)
  }

  /// The 32-byte hash of `bytes`.
  static func hash256(_ bytes: [UInt8]) -> [UInt8] {
    hash([bytes], count: 32)
  }

  private static func hash(_ parts: [[UInt8]], count: Int) -> [UInt8] {
    var hash = [UInt8](repeating: 0, count: count)
    // Swift sees the state as an opaque type, so its memory is asked for by size; it must lie on 64 bytes.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: crypto_generichash_statebytes(), alignment: 64)
    defer { memory.deallocate() }
    let state = OpaquePointer(memory)
    // The return values are not looked at: they speak only of lengths outside 1...64, and `count` is inside.
    _ = crypto_generichash_init(state, nil, 0, count)
    for part in parts { _ = crypto_generichash_update(state, part, UInt64(part.count)) }
    _ = crypto_generichash_final(state, &hash, count)
    return hash
  }
}
