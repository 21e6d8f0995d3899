import CSodium

/// The start of libsodium, and memory for secrets.
public enum Sodium {
  private static let status = sodium_init()

  /// Starts libsodium, once for the process however often and from however many threads it is called.
  ///
  /// Making a ``SecretKey`` calls it, so only a process that merely verifies has reason to call it itself, to learn of
  /// a failure that ``PublicKey/verify(signature:message:)`` could only answer with `false`.
  /// - Throws: ``IdentityError/sodiumFailed(call:)`` when libsodium cannot start, now and at every later call.
  public static func start() throws(IdentityError) {
    // 1 means "already started", by another library of this process.
    guard status >= 0 else { throw .sodiumFailed(call: "sodium_init") }
  }

  /// Lends `count` zero bytes of guarded memory to `body`, for secrets that do not outlive it. Whatever happens, they are
  /// wiped, and so is what the calls under `body` have left on the stack.
  ///
  /// - Throws: ``IdentityError/sodiumFailed(call:)``, and what `body` throws.
  public static func withSecretMemory<Result>(
    count: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) throws -> Result
  ) throws -> Result {
    try start()
    guard let memory = sodium_malloc(count) else { throw IdentityError.sodiumFailed(call: "sodium_malloc") }
    defer {
      sodium_free(memory)
      sodium_stackzero(stackCount)
    }
    let bytes = UnsafeMutableBufferPointer(start: memory.bindMemory(to: UInt8.self, capacity: count), count: count)
    bytes.initialize(repeating: 0)
    return try body(bytes)
  }

  /// More than the calls under anything here take, in bytes.
  private static let stackCount = 64 << 10
}

/// Bytes of a long-lived secret: between guard pages, read-only, wiped and returned when the last owner lets go.
///
/// libsodium also locks the pages against swapping, as far as the process's RLIMIT_MEMLOCK goes.
///
/// Unchecked because of the pointer alone: the bytes are written before `init` returns and only read afterwards.
final class SecretMemory: @unchecked Sendable {
  /// The secret; valid as long as this object is.
  let bytes: UnsafePointer<UInt8>
  private let memory: UnsafeMutableRawPointer

  /// Allocates `count` zero bytes and lets `fill` write the secret into them.
  init(
    count: Int, fill: (UnsafeMutablePointer<UInt8>) throws(IdentityError) -> Void
  ) throws(IdentityError) {
    try Sodium.start()
    guard let memory = sodium_malloc(count) else { throw .sodiumFailed(call: "sodium_malloc") }
    let writable = memory.bindMemory(to: UInt8.self, capacity: count)
    writable.initialize(repeating: 0, count: count)
    do throws(IdentityError) {
      try fill(writable)
      guard sodium_mprotect_readonly(memory) == 0 else {
        throw .sodiumFailed(call: "sodium_mprotect_readonly")
      }
    } catch {
      sodium_free(memory)
      throw error
    }
    self.memory = memory
    bytes = UnsafePointer(writable)
  }

  deinit {
    sodium_free(memory)
  }
}

/// Lends `count` zero bytes to `body` for secrets that do not outlive it, and wipes them whatever happens.
func withWipedScratch<Result, Failure: Error>(
  _ count: Int, _ body: (UnsafeMutablePointer<UInt8>) throws(Failure) -> Result
) throws(Failure) -> Result {
  let scratch = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
  scratch.initialize(repeating: 0, count: count)
  defer {
    sodium_memzero(scratch, count)
    scratch.deallocate()
  }
  return try body(scratch)
}
