/// The forms in which Bittensor encrypts key files, told by their first bytes. None of them is read here.
public enum EncryptedKeyfile: String, Sendable, CaseIterable {
  /// NaCl's secret box under an Argon2 key; the form of today.
  case nacl = "NaCl"
  /// Ansible Vault.
  case ansibleVault = "Ansible Vault"
  /// Fernet, the oldest form.
  case fernet = "Fernet"

  /// The form that a file of these contents is encrypted in, or nil when it looks like none of them.
  public init?(contents: some Collection<UInt8>) {
    let form = Self.allCases.first { contents.starts(with: $0.header.utf8) }
    guard let form else { return nil }
    self = form
  }

  private var header: String {
    switch self {
    case .nacl: "$NACL"
    case .ansibleVault: "$ANSIBLE_VAULT"
    case .fernet: "gAAAA"
    }
  }
}

/// The fields of a hotkey file that matter, as its JSON object has them; absent and null are the same.
///
/// They are lent: each lies in the memory of whoever read the file, and is valid as long as that is. Most are secrets, so
/// printing or reflecting shows only which fields are there.
public struct HotkeyFields: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The fields' names in the file. What the public ones hold is not looked at.
  public enum Name: String, CaseIterable {
    /// The public key once more.
    case accountId
    /// The public key in hexadecimal.
    case publicKey
    /// 64 bytes in hexadecimal, with or without `0x`.
    case privateKey
    /// A BIP-39 phrase.
    case secretPhrase
    /// 32 bytes in hexadecimal, with or without `0x`; Bittensor also takes the 64 of a private key.
    case secretSeed
    /// The address with prefix 42.
    case ss58Address
  }

  private var values: [Name: UnsafeBufferPointer<UInt8>] = [:]

  /// None of them.
  public init() {}

  /// A field's text in UTF-8.
  public subscript(name: Name) -> UnsafeBufferPointer<UInt8>? {
    get { values[name] }
    set { values[name] = newValue }
  }

  /// The names of the fields that are there.
  public var description: String {
    "HotkeyFields with \(values.keys.map(\.rawValue).sorted().joined(separator: ", "))"
  }

  /// The names of the fields that are there.
  public var debugDescription: String { description }

  /// Shows nothing.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The validator's hotkey: a public key, and the secret to sign with where the file has it.
public struct Hotkey: Sendable, CustomStringConvertible {
  /// The public key, by which the facilitator knows the validator.
  public let publicKey: PublicKey

  private let secretKey: SecretKey?

  private init(publicKey: PublicKey, secretKey: SecretKey?) {
    self.publicKey = publicKey
    self.secretKey = secretKey
  }

  /// A hotkey that can sign; shares `secretKey` with its other owners.
  public init(_ secretKey: SecretKey) {
    self.init(publicKey: secretKey.publicKey, secretKey: secretKey)
  }

  /// Makes the hotkey of a file, by the first of these fields that is there, as Bittensor does: `secretPhrase`,
  /// `secretSeed`, `privateKey`, and `ss58Address`, with which it cannot sign. The other fields are not looked at, not
  /// even when they contradict it.
  ///
  /// - Throws: what that field's fault is, or ``IdentityError/fileWithoutKey`` when there is none of the four.
  public init(_ fields: HotkeyFields) throws(IdentityError) {
    if let phrase = fields[.secretPhrase] {
      self.init(try SecretKey(phrase: phrase))
    } else if let seed = fields[.secretSeed] {
      self.init(
        try Self.secretKey(hex: seed, named: "secretSeed") { bytes throws(IdentityError) in
          try bytes.count == SecretKey.privateKeyCount ? SecretKey(privateKey: bytes) : SecretKey(seed: bytes)
        })
    } else if let privateKey = fields[.privateKey] {
      self.init(
        try Self.secretKey(hex: privateKey, named: "privateKey") { bytes throws(IdentityError) in
          try SecretKey(privateKey: bytes)
        })
    } else if let address = fields[.ss58Address] {
      self.init(publicKey: try PublicKey(ss58: String(decoding: address, as: UTF8.self)), secretKey: nil)
    } else {
      throw .fileWithoutKey
    }
  }

  /// Whether there is a secret to sign with.
  public var canSign: Bool { secretKey != nil }

  /// The address.
  public var description: String { publicKey.description }

  /// A signature of `message`, another one each time.
  ///
  /// The facilitator's authentication wants one over the 32 bytes of ``publicKey`` (PROTOCOL.md, "The facilitator's
  /// WebSocket").
  /// - Throws: ``IdentityError/cannotSign(ss58:)`` without a secret, and what ``SecretKey/sign(_:)`` throws.
  public func sign(_ message: [UInt8]) throws(IdentityError) -> Signature {
    guard let secretKey else { throw .cannotSign(ss58: publicKey.ss58) }
    return try secretKey.sign(message)
  }

  /// Makes a key of what hexadecimal text spells, in memory that is wiped.
  private static func secretKey(
    hex: UnsafeBufferPointer<UInt8>, named name: String,
    _ make: (UnsafeBufferPointer<UInt8>) throws(IdentityError) -> SecretKey
  ) throws(IdentityError) -> SecretKey {
    try withWipedScratch(hex.count / 2) { scratch throws(IdentityError) in
      var count = 0
      try Hex.decode(hex, named: name) { byte in
        scratch[count] = byte
        count += 1
      }
      return try make(UnsafeBufferPointer(start: scratch, count: count))
    }
  }
}
