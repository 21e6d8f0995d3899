import Glibc
import NIOCore
import NIOExtras
import NIOHTTP1
import NIOPosix
import NIOSSL
import Platform

/// Why there is no connection to the facilitator, in words for an operator: what happened, to what, what to do.
enum ConnectionFailure {
  /// - Parameters:
  ///   - step: what was being waited for.
  ///   - certificate: what the facilitator has shown, when it has shown one.
  static func words(
    _ error: any Error, _ step: OpeningStep, _ address: FacilitatorAddress, certificate: NIOSSLCertificate?
  ) -> String {
    switch error {
    case NIOSSLError.handshakeFailed(let error): handshake("\(error)", address, certificate)
    case let error as NIOSSLExtraError where error == .failedToValidateHostname:
      "the facilitator's certificate is not for \(address.host); check the host in [facilitator] url, or have it "
        + "show a certificate for that name"
    case NIOSSLError.uncleanShutdown:
      step == .done ? "the connection ended without a close frame" : hangUp(step, address)
    case let error as NIOHTTP1ProxyConnectHandler.Error where error == .remoteConnectionClosed():
      hangUp(.tunnel, address)
    case let error as NIOConnectionError: "connecting to \(server(address)) failed: \(reasons(error))"
    case ChannelError.connectTimeout(let time):
      "connecting to \(server(address)) failed: no answer within \(time.nanoseconds / 1_000_000_000) s"
    case let error as IOError where step == .done: "the connection broke: \(system(error))"
    case let error as IOError: "connecting to \(server(address)) failed: \(system(error))"
    case let error as HTTPParserError:
      "what \(step == .tunnel ? "the proxy \(server(address))" : address.authority) answers is not HTTP (\(error)); "
        + "check [facilitator] \(step == .tunnel ? "proxy" : "url")"
    case _ where step == .upgrade:
      "\(address.authority) did not switch to WebSocket (\(error)); check [facilitator] url"
    default: step == .done ? "\(error)" : "connecting to \(address.authority) failed: \(error)"
    }
  }

  /// Nothing came in time.
  static func silence(_ step: OpeningStep, _ address: FacilitatorAddress, _ time: TimeAmount) -> String {
    let who = step == .connection || step == .tunnel ? server(address) : address.authority
    return "\(missing(step)) from \(who) within \(time.nanoseconds / 1_000_000_000) s"
  }

  /// The other end closed the socket before the WebSocket was open.
  static func hangUp(_ step: OpeningStep, _ address: FacilitatorAddress) -> String {
    step == .tunnel
      ? "the proxy \(server(address)) ended the connection without an answer"
      : "\(address.authority) ended the connection, and \(missing(step)) had come"
  }

  static func refusedByProxy(_ status: HTTPResponseStatus, _ address: FacilitatorAddress) -> String {
    let advice =
      switch status {
      case .proxyAuthenticationRequired where address.proxy?.credentials == nil:
        "; give a user name and a password in [facilitator] proxy, as in http://USER:PASSWORD@HOST:PORT"
      case .proxyAuthenticationRequired: "; check the user name and the password in [facilitator] proxy"
      case .forbidden, .methodNotAllowed: "; have it allow CONNECT to \(address.host) port \(address.port)"
      default: ""
      }
    return "the proxy \(server(address)) refuses to connect to \(address.host) port \(address.port): "
      + "\(line(status))\(advice)"
  }

  static func refusedUpgrade(_ status: HTTPResponseStatus, _ address: FacilitatorAddress) -> String {
    "\(address.authority) did not switch to WebSocket but answered \(line(status)); check [facilitator] url"
  }

  // MARK: Parts

  /// Who is connected to: the proxy, if there is one.
  private static func server(_ address: FacilitatorAddress) -> String {
    address.proxy.map { "\($0)" } ?? address.authority
  }

  private static func missing(_ step: OpeningStep) -> String {
    switch step {
    case .connection: "no connection"
    case .tunnel: "no answer to CONNECT"
    case .tls: "no TLS handshake"
    case .upgrade, .done: "no answer to the WebSocket request"
    }
  }

  private static func line(_ status: HTTPResponseStatus) -> String {
    "HTTP \(status.code) \(Terminal.printable(status.reasonPhrase, limit: 100))"
  }

  private static func system(_ error: IOError) -> String { String(cString: strerror(error.errnoCode)) }

  /// What went wrong with each address, in the words of the system rather than of NIO.
  private static func reasons(_ error: NIOConnectionError) -> String {
    guard !error.connectionErrors.isEmpty else {
      return "the name \(error.host) is not found; check it, and this machine's DNS"
    }
    let attempts = error.connectionErrors.map { attempt in
      let why = (attempt.error as? IOError).map(system) ?? "\(attempt.error)"
      return "\(attempt.target.ipAddress ?? "?"): \(why)"
    }
    return Array(Set(attempts)).sorted().joined(separator: ", ")
  }

  /// BoringSSL gives its reasons as names, such as CERTIFICATE_VERIFY_FAILED, in the middle of its text.
  private static func handshake(
    _ text: String, _ address: FacilitatorAddress, _ certificate: NIOSSLCertificate?
  ) -> String {
    if text.contains("CERTIFICATE_VERIFY_FAILED") { return distrust(address, certificate) }
    if text.contains("WRONG_VERSION_NUMBER") {
      return "\(address.authority) does not speak TLS; check [facilitator] url"
    }
    if text.contains("EOF during handshake") { return hangUp(.tls, address) }
    let name = text.split(whereSeparator: { !$0.isUppercase && !$0.isNumber && $0 != "_" }).first {
      $0.contains("_")
    }
    return "TLS with \(address.authority) failed: \(name.map(String.init) ?? text)"
  }

  private static func distrust(_ address: FacilitatorAddress, _ certificate: NIOSSLCertificate?) -> String {
    let now = time(nil)
    let subject = "the certificate of \(address.authority)"
    if let end = certificate?.notValidAfter, end < now {
      return "\(subject) expired on \(date(end)); have it renewed, or set this machine's clock if it is wrong"
    }
    if let start = certificate?.notValidBefore, start > now {
      return "\(subject) is not valid before \(date(start)); set this machine's clock if it is wrong"
    }
    return if let file = address.caFile {
      "\(subject) is not signed by an authority in [facilitator] ca_file, \(file); put the certificate of the "
        + "authority that signed it there"
    } else {
      "\(subject) is not signed by an authority that this machine trusts; if it has an authority of its "
        + "own, put that one's certificate into a file and name it in [facilitator] ca_file"
    }
  }

  /// In UTC.
  private static func date(_ time: time_t) -> String {
    var time = time
    var parts = tm()
    guard gmtime_r(&time, &parts) != nil else { return "\(time)" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
      + "\(two(parts.tm_hour)):\(two(parts.tm_min)) UTC"
  }
}
