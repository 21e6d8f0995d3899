import Foundation
import Platform
import Rehearsal
import Stage

/// Certificates made for one test with the `openssl` command, in a folder that is removed with this.
final class Certificates {
  /// What is wrong with a certificate.
  enum Kind: String, Sendable, CaseIterable {
    case right
    case selfSigned
    case otherHost
    case expired
    /// For names right below facilitator.example.
    case wildcard
  }

  let folder: String
  /// Not the authority's, or whatever has this name would count as signed by it: there is one key.
  private let subject = "/CN=facilitator"

  /// Makes an authority and a certificate of each kind, all with one key.
  init() throws {
    folder = NSTemporaryDirectory() + "hordelink-certificates-\(UUID())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let configuration = """
      [req]
      prompt = no
      distinguished_name = name
      [name]
      CN = authority
      [authority]
      basicConstraints = critical,CA:TRUE
      keyUsage = critical,keyCertSign
      subjectKeyIdentifier = hash
      [here]
      subjectAltName = DNS:localhost,IP:127.0.0.1
      [below]
      subjectAltName = DNS:*.facilitator.example,IP:127.0.0.1
      [elsewhere]
      subjectAltName = DNS:elsewhere.example
      """
    try configuration.write(toFile: path("openssl.cnf"), atomically: false, encoding: .utf8)
    try openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key])
    try selfSign(authority, "authority", subject: "/CN=authority")
    try selfSign(certificate(.selfSigned), "here", subject: subject)
    try openssl(["req", "-new", "-config", path("openssl.cnf"), "-subj", subject, "-key", key, "-out", path("request")])
    try sign(.right, "here", days: 30)
    try sign(.otherHost, "elsewhere", days: 30)
    try sign(.wildcard, "below", days: 30)
    try sign(.expired, "here", days: -1)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  var authority: String { path("authority.pem") }
  var key: String { path("key.pem") }

  func certificate(_ kind: Kind) -> String { path("\(kind).pem") }

  /// What the dev facilitator is started with to show that certificate.
  func arguments(_ kind: Kind) -> [String] { ["--tls-certificate", certificate(kind), "--tls-key", key] }

  private func path(_ name: String) -> String { "\(folder)/\(name)" }

  private func selfSign(_ file: String, _ extensions: String, subject: String) throws {
    try openssl([
      "req", "-x509", "-config", path("openssl.cnf"), "-extensions", extensions, "-subj", subject, "-key", key, "-days",
      "30",
      "-out", file,
    ])
  }

  private func sign(_ kind: Kind, _ extensions: String, days: Int) throws {
    let serial = "\((Kind.allCases.firstIndex(of: kind) ?? 0) + 1)"
    try openssl([
      "x509", "-req", "-in", path("request"), "-CA", authority, "-CAkey", key, "-set_serial", serial,
      "-days", "\(days)", "-extfile", path("openssl.cnf"), "-extensions", extensions, "-out", certificate(kind),
    ])
  }

  private func openssl(_ arguments: [String]) throws {
    var request = SpawnRequest(
      executable: "/usr/bin/env", arguments: ["env", "openssl"] + arguments,
      environment: ["PATH=/usr/local/bin:/usr/bin:/bin"])
    let pipe = try Files.pipe()
    request.standardOutput = pipe.writing
    request.standardError = pipe.writing
    let ending = try RunningProcess(pid: try request.spawn()).wait(milliseconds: 20_000)
    guard ending?.code == 0 else {
      let output = String(decoding: try pipe.reading.read(upTo: 65_536) ?? [], as: UTF8.self)
      throw RehearsalError(
        ending?.code == 127
          ? "the openssl command is missing: install the package openssl, or run script/setup"
          : "openssl \(arguments.joined(separator: " ")) failed: \(output)")
    }
  }
}
