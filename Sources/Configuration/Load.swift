import TOMLKit

extension Configuration {
  /// The longest file accepted, in bytes: room for thousands of trusted signers.
  public static let longestFile = 262_144

  /// Reads and checks the file at `path`. `environment` is the service's own, for what systemd passes and for
  /// the proxy. Throws every problem found, unless the file cannot be read or is not TOML, which is one
  /// problem.
  public static func load(
    path: String, environment: [String: String]
  ) throws(ConfigurationError) -> Configuration {
    try parse(try bytes(at: path), file: path, environment: environment)
  }

  /// Checks a document already read, of at most `longestFile` bytes; `file` is its name in what is reported.
  /// Otherwise like `load`.
  public static func parse(
    _ document: [UInt8], file: String, environment: [String: String]
  ) throws(ConfigurationError) -> Configuration {
    let (table, scan) = try tables(document, file: file)
    let log = ProblemLog(file: file, lines: scan.lines)
    let configuration = read(Section(root: table, log: log), log: log, environment: environment)
    guard let configuration, log.problems.isEmpty else {
      throw ConfigurationError(problems: log.sorted)
    }
    return configuration
  }

  /// Where the service of the configuration at `path` keeps its record and its sockets, whatever else is wrong there:
  /// a service that runs outlives a mistake in its file. `environment` has what systemd passes. Throws when the
  /// file cannot be read, is not TOML, or has no use for a directory in one of these two keys.
  public static func directories(
    path: String, environment: [String: String]
  ) throws(ConfigurationError) -> (state: String, runtime: String) {
    let (table, scan) = try tables(try bytes(at: path), file: path)
    let log = ProblemLog(file: path, lines: scan.lines)
    var root = Section(root: table, log: log)
    let (state, runtime) = directories(of: &root, environment: environment)
    guard let state, let runtime else { throw ConfigurationError(problems: log.sorted) }
    return (state, runtime)
  }

  private static func bytes(at path: String) throws(ConfigurationError) -> [UInt8] {
    do throws(InvalidText) {
      return try readFile(path, atMost: longestFile)
    } catch {
      throw ConfigurationError(
        problems: [Problem(file: path, line: nil, key: nil, message: error.description)])
    }
  }

  private static func tables(
    _ document: [UInt8], file: String
  ) throws(ConfigurationError) -> (TOMLTable, LineScanner) {
    do throws(LineScanner.Refusal) {
      return try parseDocument(document)
    } catch {
      throw ConfigurationError(
        problems: [Problem(file: file, line: error.line, key: nil, message: error.message)])
    }
  }

  private static func parseDocument(
    _ document: [UInt8]
  ) throws(LineScanner.Refusal) -> (TOMLTable, LineScanner) {
    guard document.count <= longestFile else {
      throw LineScanner.Refusal(
        line: 1,
        message:
          "the file is longer than the \(longestFile) bytes a configuration may have: shorten it")
    }
    let text = try validatedText(document)
    let scan = LineScanner(document)
    if let refusal = scan.refusal { throw refusal }
    do {
      // toml++ takes what is cut off at the end of a document, as in "max_open =", for finished.
      return (try TOMLTable(string: text + "\n"), scan)
    } catch let error as TOMLParseError {
      throw LineScanner.Refusal(
        line: max(1, error.source.begin.line),
        message: "not TOML: \(withoutExcerpt(error.description))")
    } catch {
      throw LineScanner.Refusal(line: 1, message: "not TOML, for a reason the parser does not give")
    }
  }

  /// The parser's words without the characters it repeats from the file, which may be part of a password.
  private static func withoutExcerpt(_ description: String) -> String {
    let end = description.firstRange(of: ", saw '")?.lowerBound ?? description.endIndex
    return String(description[..<end])
  }
}

extension Configuration {
  /// Reads every section, so that every problem is reported; nil when something that is required is missing.
  private static func read(
    _ root: Section, log: ProblemLog, environment: [String: String]
  ) -> Configuration? {
    var root = root
    let (state, runtime) = directories(of: &root, environment: environment)
    let facilitator = Facilitator(root.section("facilitator"), environment: environment)
    let identity = Identity(root.section("identity"), environment: environment)
    let jobs = Jobs(root.section("jobs"))
    let channel = Channel(root.section("channel"))
    let dispatch = Dispatch(root.section("dispatch"), graceSeconds: jobs.graceSeconds)
    let stopping = Stopping(root.section("stop"))
    let outbox = Outbox(
      root.section("outbox"), maxOpen: jobs.maxOpen, maxFrameBytes: channel.maxFrameBytes)
    let hooks = Hooks(root.section("hooks"), hasBroker: dispatch.brokerURL != nil)
    let metrics = Metrics(root.section("metrics"))
    root.finish()
    guard let state, let runtime, let facilitator, let identity else { return nil }
    return Configuration(
      stateDirectory: state, runtimeDirectory: runtime, facilitator: facilitator,
      identity: identity, jobs: jobs,
      channel: channel, dispatch: dispatch, stopping: stopping, outbox: outbox, hooks: hooks,
      metrics: metrics,
      file: log.file, lines: log.lines)
  }

  private static func directories(
    of root: inout Section, environment: [String: String]
  ) -> (state: String?, runtime: String?) {
    let state = directory(
      "state_directory", of: &root, variable: "STATE_DIRECTORY", default: "/var/lib/hordelink",
      environment: environment, check: absolutePath)
    let runtime = directory(
      "runtime_directory", of: &root, variable: "RUNTIME_DIRECTORY", default: "/run/hordelink",
      environment: environment, check: runtimePath)
    return (state, runtime)
  }

  /// A directory from the file, else from the colon-separated list that systemd passes, else the default.
  private static func directory(
    _ key: String, of root: inout Section, variable: String, default fallback: String,
    environment: [String: String], check: (String) throws(InvalidText) -> String
  ) -> String? {
    let given = root.parsed(key, check)
    if root.has(key) { return given }
    guard let passed = environment[variable]?.split(separator: ":").first else { return fallback }
    do throws(InvalidText) {
      return try check(String(passed))
    } catch {
      root.report(key, "is not set, and what $\(variable) gives for it \(error): set \(key)")
      return nil
    }
  }
}
