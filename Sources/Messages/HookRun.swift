import MessagePack

/// What is told what happens.
public enum Hook: UInt8, Sendable, Hashable, CaseIterable {
  /// `[hooks] on_status_update`
  case statusUpdate = 1
  /// `[hooks] on_cheated`
  case cheated = 2

  public var name: String {
    switch self {
    case .statusUpdate: "on_status_update"
    case .cheated: "on_cheated"
    }
  }
}

/// One run of a hook, as it is known again after its asker has died: the hook, and the number of the first thing it gets.
public struct HookRun: MessagePart, Hashable, Comparable {
  public var hook: Hook
  public var first: UInt64

  public init(_ hook: Hook, first: UInt64) {
    self.hook = hook
    self.first = first
  }

  public static func < (left: HookRun, right: HookRun) -> Bool {
    (left.hook.rawValue, left.first) < (right.hook.rawValue, right.first)
  }

  public var fields: [MessagePackValue] { [.int(Int64(hook.rawValue)), .number(first)] }

  public init(fields: inout FieldReader) throws(FrameError) {
    hook = try fields.next("hook") { $0.raw(Hook.init(rawValue:)) }
    first = try fields.uint("first")
  }
}
