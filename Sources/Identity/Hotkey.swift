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
/// Half of them are secrets, so printing or reflecting shows only which fields are there. The strings themselves
/// cannot be wiped: hold this no longer than it takes to make a ``Hotkey``.
public struct HotkeyFields: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// `accountId`, the public key once more; not looked at.
  public var accountId: String?
  /// `publicKey` in hexadecimal; not looked at.
  public var publicKey: String?
  /// `privateKey`: 64 bytes in hexadecimal, with or without `0x`.
  public var privateKey: String?
  /// `secretPhrase`: a BIP-39 phrase.
  public var secretPhrase: String?
  /// `secretSeed`: 32 bytes in hexadecimal, with or without `0x`; Bittensor also takes the 64 of a private key.
  public var secretSeed: String?
  /// `ss58Address`: the address with prefix 42.
  public var ss58Address: String?

  /// Takes the fields that a file has.
  public init(
    accountId: String? = nil, publicKey: String? = nil, privateKey: String? = nil,
    secretPhrase: String? = nil,
    secretSeed: String? = nil, ss58Address: String? = nil
  ) {
    self.accountId = accountId
    self.publicKey = publicKey
    self.privateKey = privateKey
    self.secretPhrase = secretPhrase
    self.secretSeed = secretSeed
    self.ss58Address = ss58Address
  }

  /// The names of the fields that are there.
  public var description: String {
    let fields = [
      ("accountId", accountId), ("publicKey", publicKey), ("privateKey", privateKey),
      ("secretPhrase", secretPhrase), ("secretSeed", secretSeed), ("ss58Address", ss58Address),
    ]
    return "HotkeyFields with \(fields.filter { $0.1 != nil }.map(\.0).joined(separator: ", "))"
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
    if let phrase = fields.secretPhrase {
      self.init(try SecretKey(phrase: phrase))
    } else if let seed = fields.secretSeed {
      self.init(
        try Self.secretKey(hex: seed, named: "secretSeed") { bytes throws(IdentityError) in
          try bytes.count == SecretKey.privateKeyCount ? SecretKey(privateKey: bytes) : SecretKey(seed: bytes)
        })
    } else if let privateKey = fields.privateKey {
      self.init(try Self.secretKey(hex: privateKey, named: "privateKey", SecretKey.init(privateKey:)))
    } else if let address = fields.ss58Address {
      self.init(publicKey: try PublicKey(ss58: address), secretKey: nil)
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

  private static func secretKey(
    hex: String, named name: String, _ make: ([UInt8]) throws(IdentityError) -> SecretKey
  ) throws(IdentityError) -> SecretKey {
    var bytes = try Hex.decode(hex, named: name)
    defer { wipe(&bytes) }
    return try make(bytes)
  }
}
