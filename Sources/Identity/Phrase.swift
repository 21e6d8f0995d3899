import CSodium

/// Secret phrases: the words of BIP-39, and the seed that Substrate makes of them (substrate-bip39).
enum Phrase {
  private static let bitsPerWord = 11
  private static let iterations = 2048

  /// The English list by word.
  private static let numbers: [Substring: Int] = Dictionary(
    zip(englishWords.split(whereSeparator: \.isWhitespace), 0...), uniquingKeysWith: { first, _ in first })

  /// Lends the entropy that `phrase` spells, 16 to 32 bytes, to `body`, after checking the checksum.
  static func withEntropy<Result>(
    of phrase: String, _ body: (UnsafePointer<UInt8>, _ count: Int) throws(IdentityError) -> Result
  ) throws(IdentityError) -> Result {
    let words = phrase.split(maxSplits: 24, whereSeparator: \.isWhitespace)
    guard [12, 15, 18, 21, 24].contains(words.count) else { throw .phraseWordCount(words: words.count) }
    // 32 bits of entropy and one of checksum for every three words.
    let entropyCount = words.count / 3 * 4
    let checksumBits = words.count / 3
    return try withWipedScratch(entropyCount + 1 + 32) { scratch throws(IdentityError) in
      for (position, word) in words.enumerated() {
        guard let number = numbers[word] else { throw .phraseWordUnknown(position: position + 1) }
        for bit in 0..<bitsPerWord where number >> (bitsPerWord - 1 - bit) & 1 == 1 {
          let offset = position * bitsPerWord + bit
          scratch[offset / 8] |= 0x80 >> UInt8(offset % 8)
        }
      }
      let hash = scratch + entropyCount + 1
      _ = crypto_hash_sha256(hash, scratch, UInt64(entropyCount))
      guard scratch[entropyCount] == hash[0] & ~(0xFF >> UInt8(checksumBits)) else { throw .phraseChecksum }
      return try body(scratch, entropyCount)
    }
  }

  /// Lends the 32-byte seed of `phrase` to `body`: PBKDF2-HMAC-SHA512 over the entropy, not over the words as BIP-39
  /// has it, with the salt "mnemonic" and the password (PROTOCOL.md, "Keys").
  static func withSeed<Result>(
    of phrase: String, password: String, _ body: (UnsafePointer<UInt8>) throws(IdentityError) -> Result
  ) throws(IdentityError) -> Result {
    try withEntropy(of: phrase) { entropy, entropyCount throws(IdentityError) in
      // One block of PBKDF2 is all that is needed; its number follows the salt (RFC 8018, section 5.2).
      var salt = Array("mnemonic".utf8) + Array(password.utf8) + [0, 0, 0, 1]
      defer { wipe(&salt) }
      var keyed = crypto_auth_hmacsha512_state()
      _ = crypto_auth_hmacsha512_init(&keyed, entropy, entropyCount)
      var state = keyed
      defer {
        sodium_memzero(&keyed, MemoryLayout.size(ofValue: keyed))
        sodium_memzero(&state, MemoryLayout.size(ofValue: state))
      }
      return try withWipedScratch(2 * 64) { scratch throws(IdentityError) in
        let (block, round) = (scratch, scratch + 64)
        _ = crypto_auth_hmacsha512_update(&state, salt, UInt64(salt.count))
        _ = crypto_auth_hmacsha512_final(&state, round)
        block.update(from: round, count: 64)
        for _ in 1..<iterations {
          state = keyed
          _ = crypto_auth_hmacsha512_update(&state, round, 64)
          _ = crypto_auth_hmacsha512_final(&state, round)
          for index in 0..<64 { block[index] ^= round[index] }
        }
        return try body(block)
      }
    }
  }
}
