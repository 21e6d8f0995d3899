// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny")]

/// For what is linked into the Listener: a section for each function, so that the linker can order them.
let ordered: [SwiftSetting] = strict + [.unsafeFlags(["-Xfrontend", "-function-sections"])]

/// Whether `make sanitize` builds. A sanitizer takes the place of functions of the C library, which must be a shared one
/// and must find them in the program.
let isSanitized = Context.environment["HORDELINK_SANITIZED"] != nil
let sanitized: [LinkerSetting] = [.unsafeFlags(["-use-ld=lld", "-Xlinker", "--export-dynamic"])]

/// Swift's runtime is linked into every program: an installed one needs Debian's own libraries and nothing else.
let withRuntime: [LinkerSetting] =
  isSanitized
  ? sanitized : [.unsafeFlags(["-static-stdlib", "-use-ld=lld", "-lswiftSynchronization"])]

/// The same for programs with command lines: ArgumentParser and TOMLKit bring Foundation, whose parts an object file
/// that was compiled without -static-stdlib does not name.
let withFoundation: [LinkerSetting] =
  isSanitized
  ? sanitized
  : withRuntime + [
    .unsafeFlags(["-lCoreFoundation", "-l_FoundationCollections", "-l_FoundationCShims", "-l_FoundationICU"])
  ]

/// A Listener is static, and what it runs lies side by side in it: docs/decisions/0001-static-listener.md.
let staticProgram: [LinkerSetting] =
  isSanitized
  ? sanitized
  : [
    .unsafeFlags([
      "-static-executable", "-use-ld=lld", "-Xlinker", "--gc-sections",
      "-Xlinker", "--symbol-ordering-file=\(Context.packageDirectory)/Sources/Listener/functions.order",
      "-Xlinker", "--no-warn-symbol-ordering",
      "-Xlinker", "--script=\(Context.packageDirectory)/Sources/Listener/sections.ld",
    ])
  ]

let package = Package(
  name: "hordelink",
  products: [
    .executable(name: "hordelink-supervisor", targets: ["Supervisor"]),
    .executable(name: "hordelink-uplink", targets: ["Uplink"]),
    .executable(name: "hordelink-listener", targets: ["Listener"]),
    .executable(name: "hordelink-dispatch-celery", targets: ["DispatchCelery"]),
    .executable(name: "hordelinkctl", targets: ["ControlProgram"]),
    .executable(name: "hordelink-dev-facilitator", targets: ["DevFacilitatorProgram"]),
    .executable(name: "hordelink-demo-worker", targets: ["DemoWorkerProgram"]),
    .executable(name: "hordelink-demo", targets: ["Demo"]),
    .executable(name: "hordelink-faults", targets: ["FaultsProgram"]),
    .executable(name: "hordelink-power-cut", targets: ["PowerCutProgram"]),
    .executable(name: "hordelink-read-requests", targets: ["ReadingProgram"]),
    .executable(name: "hordelink-simulate", targets: ["SimulationProgram"]),
    .executable(name: "hordelink-bench-signatures", targets: ["SignatureBenchmark"]),
    .executable(name: "hordelink-bench-backlog", targets: ["BacklogBenchmark"]),
    .executable(name: "hordelink-bench-redis", targets: ["RedisBenchmark"]),
    .executable(name: "hordelink-bench-restart", targets: ["RestartBenchmark"]),
    .executable(name: "hordelink-bench-floor", targets: ["FloorBenchmark"]),
    .executable(name: "hordelink-bench-echo", targets: ["EchoBenchmark"]),
    .executable(name: "hordelink-bench-paths", targets: ["PathsBenchmark"]),
    .executable(name: "hordelink-bench-whole", targets: ["WholeBenchmark"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", .upToNextMinor(from: "0.6.0")),
  ],
  targets: [
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CHiredis"),
    .systemLibrary(name: "CMessagePack"),
    .systemLibrary(name: "CSodium"),
    .systemLibrary(name: "CSQLite"),
    .systemLibrary(name: "CSystemd"),

    // What decides and what describes: no clock, no randomness, no input or output.
    .target(name: "MessagePack", dependencies: ["CMessagePack"], swiftSettings: ordered),
    .target(name: "Messages", dependencies: ["MessagePack"], swiftSettings: ordered),
    .target(name: "JSON", swiftSettings: ordered),
    .target(name: "Redis", dependencies: ["Messages"], swiftSettings: ordered),
    .target(name: "RedisReading", dependencies: ["CHiredis", "Redis"], swiftSettings: ordered),
    .target(name: "StatusUpdates", dependencies: ["JSON", "MessagePack", "Messages"], swiftSettings: ordered),
    .target(
      name: "Decisions",
      dependencies: [
        "JSON", "Messages", "Redis", "StatusUpdates",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
      ], swiftSettings: ordered),
    .target(name: "Identity", dependencies: ["CSodium"], swiftSettings: strict),
    .target(
      name: "Facilitator", dependencies: ["Identity", "JSON", "Messages", "StatusUpdates"],
      swiftSettings: strict),
    .target(
      name: "CeleryMessages", dependencies: ["Facilitator", "JSON", "Messages", "Redis"], swiftSettings: strict),

    // What acts.
    .target(name: "Platform", dependencies: ["CLinux", "Messages"], swiftSettings: ordered),
    .target(name: "Failpoints", swiftSettings: ordered),
    .target(
      name: "Journal",
      dependencies: [
        "CSystemd", "Decisions", "Messages", "Platform", .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .target(
      name: "Configuration",
      dependencies: ["JSON", "Messages", "Platform", .product(name: "TOMLKit", package: "TOMLKit")],
      swiftSettings: strict),
    .target(
      name: "Store", dependencies: ["CSQLite", "Decisions", "Failpoints", "Messages", "Platform"], swiftSettings: strict
    ),

    .executableTarget(
      name: "Supervisor",
      dependencies: [
        "CSystemd", "Configuration", "Decisions", "Facilitator", "Failpoints", "Identity", "Journal", "Messages",
        "Platform",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "Uplink",
      dependencies: [
        "Decisions", "Facilitator", "Failpoints", "Identity", "JSON", "Journal", "Messages", "Platform", "Redis",
        "RedisReading", "StatusUpdates", "Store",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "NIOExtras", package: "swift-nio-extras"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ], swiftSettings: strict, linkerSettings: withRuntime),
    .executableTarget(
      name: "Listener",
      dependencies: [
        "Decisions", "Failpoints", "MessagePack", "Messages", "Platform", "Redis", "RedisReading", "StatusUpdates",
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["functions.order", "sections.ld"],
      swiftSettings: ordered,
      linkerSettings: staticProgram),
    .executableTarget(
      name: "DispatchCelery",
      dependencies: ["CHiredis", "CeleryMessages", "Messages", "Platform", "Redis", "RedisReading"],
      swiftSettings: strict, linkerSettings: withRuntime),
    .target(
      name: "Control",
      dependencies: [
        "Configuration", "Decisions", "JSON", "MessagePack", "Messages", "Platform", "Store", "WorkerClient",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], exclude: ["Program"], swiftSettings: strict),
    .executableTarget(
      name: "ControlProgram", dependencies: ["Control"], path: "Sources/Control/Program",
      swiftSettings: strict, linkerSettings: withFoundation),
    .target(
      name: "DevFacilitator",
      dependencies: [
        "Facilitator", "Identity", "JSON", "Messages", "Platform", "StatusUpdates",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ], exclude: ["Program"], swiftSettings: strict),
    .executableTarget(
      name: "DevFacilitatorProgram", dependencies: ["DevFacilitator"], path: "Sources/DevFacilitator/Program",
      swiftSettings: strict, linkerSettings: withFoundation),

    // For the demo and the tests.
    .target(name: "WorkerClient", dependencies: ["MessagePack", "Messages", "Platform"], swiftSettings: strict),
    .target(
      name: "DemoWorker", dependencies: ["JSON", "MessagePack", "Messages", "Platform", "WorkerClient"],
      exclude: ["Program"], swiftSettings: strict),
    .executableTarget(
      name: "DemoWorkerProgram", dependencies: ["DemoWorker"], path: "Sources/DemoWorker/Program",
      swiftSettings: strict, linkerSettings: withRuntime),
    .target(
      name: "Rehearsal",
      dependencies: [
        "Identity", "JSON", "MessagePack", "Messages", "Platform", "Redis", "RedisReading", "WorkerClient",
      ], swiftSettings: strict),
    .executableTarget(
      name: "Demo", dependencies: ["JSON", "Messages", "Platform", "Rehearsal"], swiftSettings: strict,
      linkerSettings: withRuntime),

    .target(
      name: "Simulation",
      dependencies: [
        "Decisions", "Facilitator", "Identity", "JSON", "MessagePack", "Messages", "Redis", "StatusUpdates",
        .product(name: "DequeModule", package: "swift-collections"),
      ],
      exclude: ["Program"], swiftSettings: strict),
    .executableTarget(
      name: "SimulationProgram",
      dependencies: [
        "Platform", "Simulation", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Sources/Simulation/Program", swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "BacklogBenchmark",
      dependencies: ["Decisions", "JSON", "Measurements", "Messages", "Platform", "Rehearsal", "Store"],
      path: "Benchmarks/Backlog", swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "RedisBenchmark", dependencies: ["Measurements", "Messages", "Platform", "Rehearsal"],
      path: "Benchmarks/Redis", swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "RestartBenchmark", dependencies: ["Measurements", "Messages", "Platform", "Rehearsal", "WorkerClient"],
      path: "Benchmarks/Restart", swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "SignatureBenchmark", dependencies: ["Identity"], path: "Benchmarks/Signatures", swiftSettings: strict,
      linkerSettings: withRuntime),
    .executableTarget(
      name: "FloorBenchmark", path: "Benchmarks/Floors/Floor",
      cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
      linkerSettings: [.linkedLibrary("sqlite3")]),
    .executableTarget(
      name: "EchoBenchmark",
      dependencies: [
        "Messages", "Platform",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ], path: "Benchmarks/Floors/Echo", swiftSettings: strict, linkerSettings: withFoundation),
    .executableTarget(
      name: "PathsBenchmark",
      dependencies: [
        "Decisions", "Facilitator", "JSON", "MessagePack", "Messages", "Platform", "Rehearsal", "StatusUpdates",
        "Store",
      ], path: "Benchmarks/Paths", swiftSettings: strict, linkerSettings: withRuntime),

    .target(
      name: "Measurements", dependencies: ["Decisions", "JSON", "Messages", "Platform", "Rehearsal", "Store"],
      path: "Benchmarks/Measurements",
      swiftSettings: strict),
    .executableTarget(
      name: "WholeBenchmark",
      dependencies: [
        "Facilitator", "Identity", "JSON", "Measurements", "MessagePack", "Messages", "Platform", "Redis", "Rehearsal",
        "WorkerClient",
      ], path: "Benchmarks/Whole", swiftSettings: strict, linkerSettings: withFoundation),

    .executableTarget(
      name: "ReadingProgram", dependencies: ["Facilitator", "JSON", "Messages", "Platform"],
      path: "Tests/Reading/Program", swiftSettings: strict, linkerSettings: withRuntime),
    .target(
      name: "TestSupport", dependencies: ["JSON", "MessagePack", "Messages", "StatusUpdates"], path: "Tests/Support",
      swiftSettings: strict),
    .target(
      name: "Stage",
      dependencies: [
        "JSON", "Messages", "Platform", "Rehearsal", "WorkerClient",
      ], path: "Tests/Stage", swiftSettings: strict),
    .testTarget(
      name: "ConfigurationTests",
      dependencies: ["TestSupport", "Configuration", .product(name: "TOMLKit", package: "TOMLKit")],
      swiftSettings: strict),
    .testTarget(name: "IdentityTests", dependencies: ["TestSupport", "Identity"], swiftSettings: strict),
    .testTarget(name: "JSONTests", dependencies: ["TestSupport", "JSON"], swiftSettings: strict),
    .testTarget(
      name: "StatusUpdatesTests", dependencies: ["TestSupport", "JSON", "MessagePack", "Messages", "StatusUpdates"],
      swiftSettings: strict),
    .testTarget(
      name: "FacilitatorTests",
      dependencies: ["TestSupport", "Facilitator", "Identity", "JSON", "MessagePack", "Messages", "StatusUpdates"],
      swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "TestSupport", "Decisions", "JSON", "MessagePack", "Messages", "Platform", "Rehearsal", "Stage", "Store",
        "WorkerClient",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DispatchCeleryTests",
      dependencies: [
        "TestSupport", "CeleryMessages", "JSON", "Messages", "Platform", "Redis", "Rehearsal", "Stage",
      ], swiftSettings: strict),
    .testTarget(
      name: "WorkerClientTests",
      dependencies: [
        "TestSupport",
        "DemoWorker", "JSON", "MessagePack", "Messages", "Platform", "StatusUpdates", "WorkerClient",
      ], swiftSettings: strict),
    .testTarget(
      name: "ControlTests",
      dependencies: [
        "TestSupport",
        "Control", "JSON", "MessagePack", "Messages", "Platform", "WorkerClient",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .testTarget(
      name: "DevFacilitatorTests",
      dependencies: [
        "TestSupport",
        "DevFacilitator", "Facilitator", "Identity", "JSON", "Messages", "Platform", "StatusUpdates",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ], swiftSettings: strict),
    .testTarget(name: "MessagePackTests", dependencies: ["TestSupport", "MessagePack"], swiftSettings: strict),
    .testTarget(
      name: "MessagesTests", dependencies: ["TestSupport", "Decisions", "MessagePack", "Messages"],
      swiftSettings: strict),
    .testTarget(name: "PlatformTests", dependencies: ["Messages", "Platform"], swiftSettings: strict),
    .testTarget(
      name: "DecisionsTests",
      dependencies: ["TestSupport", "Decisions", "JSON", "MessagePack", "Messages", "Simulation", "StatusUpdates"],
      swiftSettings: strict),
    .target(name: "RecordFile", dependencies: ["CSQLite"], path: "Tests/RecordFile", swiftSettings: strict),
    .target(
      name: "FaultCampaign", dependencies: ["Decisions", "Messages", "Platform", "Rehearsal", "WorkerClient"],
      path: "Tests/Faults/Campaign", swiftSettings: strict),
    .executableTarget(
      name: "FaultsProgram",
      dependencies: [
        "FaultCampaign", "Platform", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Tests/Faults/Program", swiftSettings: strict, linkerSettings: withFoundation),
    .testTarget(
      name: "FaultTests",
      dependencies: [
        "TestSupport", "FaultCampaign", "MessagePack", "Messages", "Platform", "RecordFile", "Rehearsal", "Stage",
        "Store", "WorkerClient",
      ], path: "Tests/Faults/Tests", swiftSettings: strict),
    .target(
      name: "PowerCut",
      dependencies: [
        "CSQLite", "Decisions", "JSON", "MessagePack", "Messages", "Platform", "Rehearsal", "Store", "WorkerClient",
      ], path: "Tests/PowerCut/Campaign", swiftSettings: strict),
    .executableTarget(
      name: "PowerCutProgram",
      dependencies: [
        "Platform", "PowerCut", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Tests/PowerCut/Program", swiftSettings: strict, linkerSettings: withFoundation),
    .testTarget(
      name: "PowerCutTests", dependencies: ["TestSupport", "Platform", "PowerCut"], path: "Tests/PowerCut/Tests",
      swiftSettings: strict),
    .testTarget(
      name: "HostileTests",
      dependencies: [
        "TestSupport", "Facilitator", "Identity", "JSON", "MessagePack", "Messages", "Platform", "Redis", "Rehearsal",
        "Stage", "WorkerClient",
      ], path: "Tests/Hostile", swiftSettings: strict),
    .testTarget(
      name: "SystemdTests",
      dependencies: [
        "TestSupport", "JSON", "MessagePack", "Messages", "Platform", "Rehearsal", "Stage", "WorkerClient",
      ], path: "Tests/Systemd", swiftSettings: strict),
    .target(
      name: "Fuzzing",
      dependencies: [
        "CSQLite", "Configuration", "Decisions", "Facilitator", "Identity", "JSON", "MessagePack", "Messages", "Redis",
        "RedisReading", "StatusUpdates", "Store",
      ], path: "Tests/Fuzz/Targets", swiftSettings: strict),
    .testTarget(
      name: "FuzzTests", dependencies: ["Fuzzing", "TestSupport"], path: "Tests/Fuzz/Tests", swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: ["TestSupport", "Simulation"], swiftSettings: strict),
    .testTarget(
      name: "StoreTests", dependencies: ["Decisions", "Messages", "Platform", "RecordFile", "Store"],
      swiftSettings: strict),
  ]
)

// libFuzzer's own program, which takes a build with sanitizers: script/fuzz.
if Context.environment["HORDELINK_FUZZ"] != nil {
  package.products.append(.executable(name: "hordelink-fuzz", targets: ["FuzzProgram"]))
  package.targets += [
    .systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
    .executableTarget(
      name: "FuzzProgram", dependencies: ["CFuzzer", "Fuzzing"], path: "Tests/Fuzz/Program", swiftSettings: strict,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address", "-use-ld=lld"])]),
  ]
}
