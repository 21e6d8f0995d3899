import CSodium

/// BLAKE2b (RFC 7693), from libsodium.
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

  /// The 32-byte hash of `bytes` under a key of 16 to 64 bytes: whoever has no key cannot make it.
  static func hash256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
    hash([bytes], count: 32, key: key)
  }

  private static func hash(_ parts: [[UInt8]], count: Int, key: [UInt8] = []) -> [UInt8] {
    var hash = [UInt8](repeating: 0, count: count)
    // Swift sees the state as an opaque type, so its memory is asked for by size; it must lie on 64 bytes.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: crypto_generichash_statebytes(), alignment: 64)
    defer { memory.deallocate() }
    let state = OpaquePointer(memory)
    // The return values are not looked at: they speak only of lengths outside their bounds, and these are inside.
    _ = crypto_generichash_init(state, key, key.count, count)
    for part in parts { _ = crypto_generichash_update(state, part, UInt64(part.count)) }
    _ = crypto_generichash_final(state, &hash, count)
    return hash
  }
}
