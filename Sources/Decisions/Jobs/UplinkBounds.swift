extension UplinkCore: Bounded {
  public func check(_ bounds: inout BoundCheck) {
    outbox.check(&bounds)
    specs.check(&bounds)
    cheats.check(&bounds)
    updateHooks.check(&bounds)
    bodies.check(&bounds)
    let open = jobs.values.filter { !$0.hasTerminal }
    bounds.count(room.openJobs, is: open.count, of: "open jobs")
    bounds.count(room.requestBytes, is: open.reduce(0) { $0 + $1.bodyBytes }, of: "bytes of open jobs' requests")
    let onTheWay = jobs.values.reduce(0) { $0 + $1.uncommitted.rawValue.nonzeroBitCount }
    bounds.count(room.rows, is: queued + dead + onTheWay, of: "updates that wait or are dead letters")
    bounds.hold(rejections.count <= IntakeBounds.rejections, "\(rejections.count) rejections wait")
    bounds.hold(cheats.count <= Self.cheatCapacity, "\(cheats.count) cheat reports wait")
    bounds.hold(updateHooks.count < Self.hookCapacity + Self.hookPage, "\(updateHooks.count) updates wait for the hook")
    bounds.hold(hookRoom.rows >= updateHooks.count, "of \(updateHooks.count) updates for the hook some are not counted")
  }
}
