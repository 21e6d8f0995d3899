import CSodium

/// Secret phrases: the words of BIP-39, and the seed that Substrate makes of them (substrate-bip39).
enum Phrase {
  private static let bitsPerWord = 11
  private static let mostWords = 24
  private static let iterations = 2048

  /// The numbers of the words in the English list, by ``Word/letters``.
  private static let numbers: [UInt64: Int] = Dictionary(
    zip(englishWords.split(whereSeparator: \.isWhitespace).map { $0.utf8.reduce(0) { $0 << 8 | UInt64($1) } }, 0...),
    uniquingKeysWith: { first, _ in first })

  /// A word's letters as one number: the list has none of more than eight, and a String would be a copy of a secret.
  private struct Word {
    private(set) var letters: UInt64 = 0
    private var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ scalar: Unicode.Scalar) {
      letters = letters << 8 | UInt64(scalar.value)
      // Beyond ASCII it cannot be in the list, whatever its number, nor with zeros in front of it.
      count += 1...0x7F ~= scalar.value ? 1 : 9
    }

    /// Its number in the list.
    var number: Int? { count <= 8 ? numbers[letters] : nil }
  }

  /// Lends the entropy that `phrase` spells in UTF-8, 16 to 32 bytes, to `body`, after checking the checksum.
  static func withEntropy<Result>(
    of phrase: some Sequence<UInt8>, _ body: (UnsafePointer<UInt8>, _ count: Int) throws(IdentityError) -> Result
  ) throws(IdentityError) -> Result {
    let bitsCount = mostWords * bitsPerWord / 8
    return try withWipedScratch(bitsCount + 32) { scratch throws(IdentityError) in
      let words = try readWords(of: phrase, into: scratch)
      // 32 bits of entropy and one of checksum for every three words.
      let entropyCount = words / 3 * 4
      let checksumBits = words / 3
      let hash = scratch + bitsCount
      _ = crypto_hash_sha256(hash, scratch, UInt64(entropyCount))
      guard scratch[entropyCount] == hash[0] & ~(0xFF >> UInt8(checksumBits)) else { throw .phraseChecksum }
      return try body(scratch, entropyCount)
    }
  }

  /// Writes the bits of the words of `phrase` one after the other to the zeros at `bits`, and returns how many words
  /// there are.
  private static func readWords(
    of phrase: some Sequence<UInt8>, into bits: UnsafeMutablePointer<UInt8>
  ) throws(IdentityError) -> Int {
    var count = 0
    var unknown: Int?
    var word = Word()
    func endWord() {
      if word.isEmpty { return }
      defer { word = Word() }
      count += 1
      guard count <= mostWords, let number = word.number else {
        unknown = unknown ?? count
        return
      }
      for bit in 0..<bitsPerWord where number >> (bitsPerWord - 1 - bit) & 1 == 1 {
        let offset = (count - 1) * bitsPerWord + bit
        bits[offset / 8] |= 0x80 >> UInt8(offset % 8)
      }
    }
    var decoder = UTF8()
    var bytes = phrase.makeIterator()
    reading: while count <= mostWords {
      switch decoder.decode(&bytes) {
      case .scalarValue(let scalar) where scalar.properties.isWhitespace: endWord()
      case .scalarValue(let scalar): word.append(scalar)
      case .error: word.append("\u{FFFD}")
      case .emptyInput: break reading
      }
    }
    endWord()
    guard [12, 15, 18, 21, 24].contains(count) else { throw .phraseWordCount(words: count) }
    if let unknown { throw .phraseWordUnknown(position: unknown) }
    return count
  }

  /// Lends the 32-byte seed of `phrase` to `body`: PBKDF2-HMAC-SHA512 over the entropy, not over the words as BIP-39
  /// has it, with the salt "mnemonic" and the password (PROTOCOL.md, "Keys").
  static func withSeed<Result>(
    of phrase: some Sequence<UInt8>, password: String,
    _ body: (UnsafePointer<UInt8>) throws(IdentityError) -> Result
  ) throws(IdentityError) -> Result {
    try withEntropy(of: phrase) { entropy, entropyCount throws(IdentityError) in
      // One block of PBKDF2 is all that is needed; its number follows the salt (RFC 8018, section 5.2).
      let salt = Array("mnemonic".utf8) + Array(password.utf8) + [0, 0, 0, 1]
      // The states are as secret as what they were made of, and values of Swift's might be copied.
      let stateCount = MemoryLayout<crypto_auth_hmacsha512_state>.stride
      return try withWipedScratch(2 * stateCount + 2 * 64) { scratch throws(IdentityError) in
        let state = UnsafeMutableRawPointer(scratch).bindMemory(to: crypto_auth_hmacsha512_state.self, capacity: 2)
        let keyed = state + 1
        let (block, round) = (scratch + 2 * stateCount, scratch + 2 * stateCount + 64)
        _ = crypto_auth_hmacsha512_init(keyed, entropy, entropyCount)
        state.update(from: keyed, count: 1)
        _ = crypto_auth_hmacsha512_update(state, salt, UInt64(salt.count))
        _ = crypto_auth_hmacsha512_final(state, round)
        block.update(from: round, count: 64)
        for _ in 1..<iterations {
          state.update(from: keyed, count: 1)
          _ = crypto_auth_hmacsha512_update(state, round, 64)
          _ = crypto_auth_hmacsha512_final(state, round)
          for index in 0..<64 { block[index] ^= round[index] }
        }
        return try body(block)
      }
    }
  }
}
