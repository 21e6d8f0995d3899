/// What can go wrong with keys, signatures, phrases and addresses.
///
/// No case carries a secret: a bad word of a phrase is named by its position, a bad field by its name, so every
/// error can be logged and shown.
public enum IdentityError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A call into libsodium that must not fail did; `call` is its C name.
  case sodiumFailed(call: String)
  /// The text called `what` is not hexadecimal of the form asked for.
  case notHexadecimal(what: String)
  /// The value called `what` has `actual` bytes where `expected` are needed.
  case wrongLength(what: String, expected: Int, actual: Int)
  /// A text given as Base58 holds a character outside that alphabet.
  case notBase58
  /// An ss58 address does not decode to the length of a 32-byte account.
  case addressLength
  /// An ss58 address does not match its checksum.
  case addressChecksum
  /// An ss58 address belongs to another network than prefix 42.
  case addressPrefix
  /// A phrase has a number of words that BIP-39 does not know; `words` is at most 25, which stands for "more than 24".
  case phraseWordCount(words: Int)
  /// The word at `position`, counted from 1, is not in the English list of BIP-39.
  case phraseWordUnknown(position: Int)
  /// The words of a phrase are all known, but their checksum does not match.
  case phraseChecksum
  /// The 64 bytes of a private key do not begin with a non-zero scalar below the group order.
  case privateKeyInvalid
  /// A derivation path is not a sequence of `/soft` and `//hard` junctions of at most 1024 bytes.
  case derivationPathInvalid
  /// A message is longer than ``Signature/messageLimit``; `bytes` is its length.
  case messageTooLong(bytes: Int)
  /// A hotkey file is encrypted.
  case fileEncrypted(EncryptedKeyfile)
  /// A hotkey file has neither a secret nor an address.
  case fileWithoutKey
  /// The hotkey of this address was loaded without a secret, and was asked to sign.
  case cannotSign(ss58: String)

  /// What happened, to what, and what to do about it.
  public var description: String {
    switch self {
    case .sodiumFailed(let call):
      "libsodium's \(call) failed: check that libsodium is intact and that the machine has memory to spare"
    case .notHexadecimal(let what):
      "\(what) is not valid hexadecimal: give two digits for each byte, with 0x in front only where it belongs"
    case .wrongLength(let what, let expected, let actual):
      "\(what) has \(actual) bytes instead of \(expected): check that it was copied whole"
    case .notBase58:
      "the address holds a character that is not Base58: check that it is an ss58 address and not a hex key"
    case .addressLength:
      "the address does not have the length of an ss58 address: check that it was copied whole"
    case .addressChecksum:
      "the address does not match its checksum: check it for a mistyped character"
    case .addressPrefix:
      "the address belongs to another network: give it in the ss58 form with prefix 42 (it begins with 5)"
    case .phraseWordCount(let words):
      "the secret phrase has \(words > 24 ? "more than 24" : "\(words)") words: give all its 12, 15, 18, 21 or 24 words"
    case .phraseWordUnknown(let position):
      "word \(position) of the secret phrase is not in the English BIP-39 list: check its spelling, in lower case"
    case .phraseChecksum:
      "the secret phrase does not match its checksum: check its words and their order"
    case .privateKeyInvalid:
      "the private key does not begin with a valid sr25519 scalar: give the 64 bytes that schnorrkel writes"
    case .derivationPathInvalid:
      "the derivation path is malformed: write it as /soft or //hard parts, without an empty part or a password"
    case .messageTooLong(let bytes):
      "the message of \(bytes) bytes is too long to sign: sign at most \(Signature.messageLimit) bytes, or a hash"
    case .fileEncrypted(let form):
      "the hotkey file is encrypted (\(form.rawValue)): decrypt it, or point to a hotkey file that is not encrypted"
    case .fileWithoutKey:
      "the hotkey file has no secretPhrase, secretSeed, privateKey or ss58Address: point to a Bittensor hotkey file"
    case .cannotSign(let ss58):
      "the hotkey \(ss58) has no secret to sign with: use a hotkey file with a phrase, a seed or a private key"
    }
  }
}
