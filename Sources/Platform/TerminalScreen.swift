import CLinux
import Glibc

/// The whole of a terminal, for a view that is drawn again and again. As long as it lives, the terminal shows its
/// alternate screen without a cursor, keys come unechoed one by one, and signals that would end the process, or stop it,
/// are told by `wait`. What was before is there again when it goes.
public final class TerminalScreen {
  /// What ends a wait.
  public enum Event: Sendable, Hashable {
    case timeUp
    case key(UInt8)
    case resized
    /// SIGINT, SIGTERM, SIGHUP or SIGQUIT, or the terminal is gone.
    case ended
  }

  private let signals: Descriptor
  private let keyboard = Descriptor(owning: fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, Int32(0)))
  private let before: termios?
  private var maskBefore = sigset_t()
  private var keyboardIsThere: Bool

  /// Takes over the terminal on standard output; nil when there is none.
  public init?() {
    guard isatty(STDOUT_FILENO) == 1 else { return nil }
    var mask = sigset_t()
    sigemptyset(&mask)
    // Ctrl-Z would leave the terminal as it is now to a shell: it does nothing.
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP] { sigaddset(&mask, signal) }
    pthread_sigmask(SIG_BLOCK, &mask, &maskBefore)
    sigdelset(&mask, SIGTSTP)
    signals = Descriptor(owning: signalfd(-1, &mask, Int32(SIGNALFD_CLOEXEC)))
    var settings = termios()
    keyboardIsThere = tcgetattr(STDIN_FILENO, &settings) == 0
    before = keyboardIsThere ? settings : nil
    if keyboardIsThere {
      settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
      // Ctrl-S would hold this process in its next write, deaf to signals.
      settings.c_iflag &= ~tcflag_t(IXON)
      tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }
    // Alternate screen, no cursor, no wrapping: xterm's control sequences (ctlseqs, DECSET).
    write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")
  }

  deinit {
    write("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l")
    if var before { tcsetattr(STDIN_FILENO, TCSANOW, &before) }
    pthread_sigmask(SIG_SETMASK, &maskBefore, nil)
  }

  /// Columns and rows (tty_ioctl(4), TIOCGWINSZ); those of a classic terminal where nobody has said.
  public var size: (width: Int, height: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Shows these lines in place of what is there. They must fit, and be printable.
  public func show(_ lines: [String]) {
    // Each line is cut behind its end, rather than the screen cleared, which would flicker.
    let text = lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n")
    write("\u{1b}[H" + text + "\u{1b}[J")
  }

  /// Waits for a key or a signal, for at most that long.
  public func wait(milliseconds: Int32) -> Event {
    let watched = keyboardIsThere ? [signals, keyboard] : [signals]
    guard let ready = try? Waiting.readable(watched, milliseconds: milliseconds) else { return .ended }
    if ready[0] {
      // signalfd(2): the signal's number is the first field.
      guard let bytes = try? signals.read(upTo: 128), bytes.count == 128 else { return .ended }
      return Int32(bytes[0]) == SIGWINCH ? .resized : .ended
    }
    if keyboardIsThere, ready[1] {
      guard let key = try? keyboard.read(upTo: 1)?.first else { return .ended }
      return .key(key)
    }
    return .timeUp
  }

  /// A terminal that takes nothing any more is gone, which `wait` says.
  private func write(_ text: String) {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      written += count
    }
  }
}
