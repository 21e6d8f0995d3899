import Facilitator

/// Why the facilitator does not do what a message that fits asks for. Source: PROTOCOL.md, The facilitator's WebSocket.
enum Refusal: String, Sendable, CaseIterable {
  case notAuthenticated = "auth.not_authenticated"
  case alreadyAuthenticated = "auth.already_authenticated"
  case validatorNotFound = "auth.validator_not_found"
  case signatureInvalid = "auth.signature_invalid"
  case jobNotFound = "job.not_found"
  case integrityError = "job.integrity_error"

  /// The answer that says so.
  var response: Response { .refusing(type: rawValue, message: message, help: help) }

  private var message: String {
    switch self {
    case .notAuthenticated: "the connection is not authenticated"
    case .alreadyAuthenticated: "the connection is authenticated already"
    case .validatorNotFound: "no validator has this key"
    case .signatureInvalid: "the signature is not this key's"
    case .jobNotFound: "no job has this uuid"
    case .integrityError: "this job has this status already"
    }
  }

  private var help: String {
    switch self {
    case .notAuthenticated: "send an authentication request first"
    case .alreadyAuthenticated: "authenticate once a connection"
    case .validatorNotFound: "start the facilitator with --validator and the validator's address"
    case .signatureInvalid: "sign the 32 bytes of the public key"
    case .jobNotFound: "report only jobs that this facilitator has sent"
    case .integrityError: "the first update stands; go on with the next"
    }
  }
}

extension Response {
  static let success = Response(status: .success)

  /// An error answer with one fault.
  static func refusing(type: String, message: String, help: String? = nil) -> Response {
    Response(status: .error, errors: [Fault(message: message, type: type, help: help)])
  }
}

/// The codes with which the facilitator closes a connection: its own (PROTOCOL.md) and RFC 6455, section 7.4.1.
enum CloseCode {
  static let protocolError: UInt16 = 1002
  static let unacceptableData: UInt16 = 1003
  static let notUTF8: UInt16 = 1007
  static let messageTooLarge: UInt16 = 1009
  static let internalError: UInt16 = 1011
  static let signatureInvalid: UInt16 = 3000
  static let validatorNotFound: UInt16 = 3001

  /// What a close frame may be told to carry. The reserved ones among them are let through: a client must cope.
  static let allowed = 1000...4999
  /// The longest reason in bytes: a control frame has 125, and the code takes two.
  static let reasonLimit = 123
}
