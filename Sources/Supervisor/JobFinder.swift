import Platform
import Synchronization

/// Finds out which jobs processes name in the environment that they were started with.
///
/// Reading that can take for ever (`ProcessTable.variable`), so it is done off the loop. A process that is not read in time is
/// left out, and so is any other once too many threads wait for such processes.
final class JobFinder {
  /// What a process names, as it stands in its environment.
  struct Named: Sendable {
    var process: ProcessSight
    var job: String
    var socket: String?
  }

  /// How far a thread has come with its processes.
  private final class Progress: Sendable {
    private struct State {
      var count = 0
      var named: [Named] = []
      var isOver = false
    }
    private let state = Mutex(State())

    /// One more was read. Returns whether others are to follow.
    func read(_ named: Named?) -> Bool {
      state.withLock { state in
        state.count += 1
        if let named { state.named.append(named) }
        return !state.isOver
      }
    }

    /// Nobody waits for more.
    /// - Returns: how many were read, and those of them that name a job.
    func end() -> (count: Int, named: [Named]) {
      state.withLock { state in
        state.isOver = true
        return (state.count, state.named)
      }
    }
  }

  /// How long a thread has for what it reads, in seconds, and how many processes that are.
  private static let patience: Int64 = 1
  private static let batch = 256
  /// How many threads may wait for processes that cannot be read.
  private static let mostStuck = 4

  private let loop: EventLoop
  private var number = 0
  private var threads: [Int: OffLoop<Void>] = [:]
  private var stuck: [(process: ProcessSight, thread: OffLoop<Void>)] = []

  init(loop: EventLoop) { self.loop = loop }

  /// - Parameter then: called once, on the loop, with those that name a job, and whether all that can be read were looked at.
  func find(_ processes: [ProcessSight], then: @escaping ([Named], Bool) -> Void) {
    stuck.removeAll { !$0.thread.isRunning }
    let readable = processes.filter { process in !stuck.contains { $0.process.isSame(as: process) } }
    find(readable[...], behind: [], then)
  }

  private func find(_ left: ArraySlice<ProcessSight>, behind found: [Named], _ then: @escaping ([Named], Bool) -> Void)
  {
    guard !left.isEmpty, stuck.count < Self.mostStuck else { return then(found, left.isEmpty) }
    let batch = Array(left.prefix(Self.batch))
    let progress = Progress()
    number += 1
    let number = number
    do {
      threads[number] = try OffLoop(loop: loop, seconds: Self.patience) {
        for process in batch where !progress.read(Self.read(process)) { return }
      } then: { [weak self] _ in
        guard let self, let thread = self.threads.removeValue(forKey: number) else { return }
        let (count, named) = progress.end()
        if count < batch.count { self.stuck.append((batch[count], thread)) }
        self.find(left.dropFirst(min(count + 1, batch.count)), behind: found + named, then)
      }
    } catch {
      // No thread can be made: they are looked at again with the next one.
      then(found, false)
    }
  }

  private static func read(_ process: ProcessSight) -> Named? {
    guard let job = ProcessTable.variable("HORDELINK_JOB_UUID", of: process.pid) else { return nil }
    let socket = ProcessTable.variable("HORDELINK_SOCKET", of: process.pid)
    // Its number may be another's by now.
    guard ProcessTable.startTime(of: process.pid) == process.startTime else { return nil }
    return Named(process: process, job: job, socket: socket)
  }
}
