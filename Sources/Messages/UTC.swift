import Glibc

/// Points in time for people, scripts and other programs.
public enum UTC {
  /// As in 2026-11-24T10:30:00Z (RFC 3339).
  /// - Parameter milliseconds: since 1970; what is left of a second is dropped.
  public static func text(milliseconds: Int) -> String {
    var seconds = time_t(milliseconds / 1000)
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil else { return "\(milliseconds)" }
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
