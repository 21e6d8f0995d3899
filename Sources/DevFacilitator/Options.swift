import ArgumentParser
import Identity
import NIOCore
import NIOSSL

/// What the facilitator is started with, as its command line says it.
struct Options: ParsableArguments {
  @Option(help: ArgumentHelp("Where to listen; port 0 takes a free one.", valueName: "address:port"))
  var listen = "127.0.0.1:0"

  @Option(
    help: ArgumentHelp(
      "The address of a validator; repeatable. Without one, every validator that signs correctly is known.",
      valueName: "ss58"),
    transform: { try PublicKey(ss58: $0) })
  var validator: [PublicKey] = []

  @Option(help: ArgumentHelp("The development key that signs the jobs.", valueName: "path"))
  var signer = "//Alice"

  @Option(
    help: ArgumentHelp(
      "Serve wss:// with this certificate and those that follow it in the file, as PEM.", valueName: "file"))
  var tlsCertificate: String?

  @Option(help: ArgumentHelp("The key of the certificate, as PEM.", valueName: "file"))
  var tlsKey: String?

  @Flag(help: "Print events as JSON, one object a line.")
  var json = false

  @Option(help: ArgumentHelp("Write the WebSocket's URL to this file once it can be used.", valueName: "file"))
  var urlFile: String?

  @Option(help: ArgumentHelp("Drop the connection after this many accepted rows, once.", valueName: "count"))
  var dropAfter = 0

  @Option(
    help: ArgumentHelp(
      "Keep the row of this update, counted in accepted ones, and drop the connection without an answer, once.",
      valueName: "count"))
  var dropBeforeAnswer = 0

  @Option(
    help: ArgumentHelp(
      "Answer the next status updates with this error and keep no row.", valueName: "type:count"),
    transform: Self.answerError)
  var answerError: Faults.AnswerError?

  @Option(help: ArgumentHelp("Let each answer wait; its row is kept at once.", valueName: "milliseconds"))
  var delayMs = 0

  @Option(
    help: ArgumentHelp("Close the connection right after authentication, once.", valueName: "code"))
  var closeCode: Int?

  @Flag(help: "Answer nothing but the authentication; rows are kept.")
  var neverAnswer = false

  func validate() throws {
    try Self.check(dropAfter, in: 0...Faults.countLimit, "--drop-after")
    try Self.check(dropBeforeAnswer, in: 0...Faults.countLimit, "--drop-before-answer")
    try Self.check(delayMs, in: 0...Faults.delayLimit, "--delay-ms")
    if let closeCode { try Self.check(closeCode, in: CloseCode.allowed, "--close-code") }
    _ = try Self.address(listen)
    guard (tlsCertificate == nil) == (tlsKey == nil) else {
      throw ValidationError("--tls-certificate and --tls-key: give both or neither")
    }
  }

  /// The server that these options describe.
  func settings() throws -> Server.Settings {
    Server.Settings(
      address: try Self.address(listen), tls: try tls(), signer: Hotkey(try SecretKey.development(signer)),
      validators: Set(validator),
      faults: Faults(
        dropAfter: dropAfter, dropBeforeAnswer: dropBeforeAnswer, answerError: answerError, delay: delayMs,
        closeCode: closeCode.map { UInt16($0) }, neverAnswers: neverAnswer))
  }

  private func tls() throws -> NIOSSLContext? {
    guard let tlsCertificate, let tlsKey else { return nil }
    do {
      return try NIOSSLContext(
        configuration: .makeServerConfiguration(
          certificateChain: try NIOSSLCertificate.fromPEMFile(tlsCertificate).map { .certificate($0) },
          privateKey: .privateKey(try NIOSSLPrivateKey(file: tlsKey, format: .pem))))
    } catch {
      throw ValidationError("--tls-certificate and --tls-key: \(tlsCertificate), \(tlsKey): \(error)")
    }
  }

  private static func check(_ value: Int, in range: ClosedRange<Int>, _ option: String) throws {
    guard range.contains(value) else {
      throw ValidationError("\(option): give a number from \(range.lowerBound) to \(range.upperBound)")
    }
  }

  private static func address(_ text: String) throws -> SocketAddress {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw ValidationError("--listen: give an IP address and a port, such as 127.0.0.1:0 or [::1]:0")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard let address = try? SocketAddress(ipAddress: String(host), port: Int(port)) else {
      throw ValidationError("--listen: \(host) is not an IP address; names are not looked up")
    }
    return address
  }

  private static func answerError(_ text: String) throws -> Faults.AnswerError {
    // An error's type may itself hold colons.
    guard let colon = text.lastIndex(of: ":"), let count = Int(text[text.index(after: colon)...]),
      (0...Faults.countLimit).contains(count)
    else { throw ValidationError("give an error type and how often, such as job.not_found:3") }
    return Faults.AnswerError(type: String(text[..<colon]), count: count)
  }
}
