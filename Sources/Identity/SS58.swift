/// Base58 with the alphabet of Bitcoin: no 0, O, I or l.
public enum Base58 {
  /// The longest text that ``decode(_:)`` takes, in characters: the work grows with the square of the length.
  public static let characterLimit = 128

  private static let alphabet = [UInt8]("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

  /// `bytes` as a big-endian number in Base58, with a `1` for each leading zero byte.
  ///
  /// The work grows with the square of the length; it is meant for keys and addresses.
  public static func encode(_ bytes: [UInt8]) -> String {
    let digits = convert(bytes, from: 256, to: 58)
    return String(decoding: digits.map { alphabet[$0] }, as: UTF8.self)
  }

  /// The bytes that `text` spells.
  ///
  /// - Throws: ``IdentityError/notBase58`` for a character outside the alphabet,
  ///   ``IdentityError/wrongLength(what:expected:actual:)`` beyond ``characterLimit``.
  public static func decode(_ text: String) throws(IdentityError) -> [UInt8] {
    var digits: [UInt8] = []
    for character in text.utf8 {
      guard let digit = alphabet.firstIndex(of: character) else { throw .notBase58 }
      digits.append(UInt8(digit))
    }
    guard digits.count <= characterLimit else {
      throw .wrongLength(what: "the Base58 text", expected: characterLimit, actual: digits.count)
    }
    return convert(digits, from: 58, to: 256).map { UInt8($0) }
  }

  /// The digits of a big-endian number in another base; leading zeros carry over one for one.
  private static func convert(_ digits: [UInt8], from source: Int, to target: Int) -> [Int] {
    let zeros = digits.prefix { $0 == 0 }.count
    // Least significant first while it grows.
    var result: [Int] = []
    for digit in digits.dropFirst(zeros) {
      var carry = Int(digit)
      for index in result.indices {
        carry += result[index] * source
        result[index] = carry % target
        carry /= target
      }
      while carry > 0 {
        result.append(carry % target)
        carry /= target
      }
    }
    return Array(repeating: 0, count: zeros) + result.reversed()
  }
}

/// The text form of a public key: Base58 of the network's prefix, the key and a checksum (Substrate's ss58).
///
/// Only prefix 42, "any Substrate network", is spoken here (PROTOCOL.md, "Keys").
public enum SS58 {
  /// The prefix of every address read and written.
  public static let prefix: UInt8 = 42

  private static let checksumCount = 2

  /// The address of `key`.
  public static func encode(_ key: PublicKey) -> String {
    let body = [prefix] + key.bytes
    return Base58.encode(body + checksum(body))
  }

  /// The public key that `address` names. Whether it is a point of the curve shows only when it verifies something.
  ///
  /// - Throws: ``IdentityError/notBase58``, ``IdentityError/addressLength``, ``IdentityError/addressChecksum``, or
  ///   ``IdentityError/addressPrefix`` for a sound address of another network.
  public static func decode(_ address: String) throws(IdentityError) -> PublicKey {
    let decoded: [UInt8]
    do throws(IdentityError) {
      decoded = try Base58.decode(address)
    } catch .notBase58 {
      throw .notBase58
    } catch {
      throw .addressLength
    }
    // A first byte from 64 on begins a prefix of two bytes.
    guard let first = decoded.first,
      decoded.count == (first < 64 ? 1 : 2) + PublicKey.count + checksumCount
    else { throw .addressLength }
    let body = Array(decoded.dropLast(checksumCount))
    guard decoded.suffix(checksumCount).elementsEqual(checksum(body)) else { throw .addressChecksum }
    guard first == prefix else { throw .addressPrefix }
    return try PublicKey(body.dropFirst())
  }

  private static func checksum(_ body: [UInt8]) -> [UInt8] {
    Array(Blake2b.hash512(Array("SS58PRE".utf8), body).prefix(checksumCount))
  }
}
