import Glibc
import Messages
import Platform
import Testing

@Suite struct ProcessorTimeTests {
  /// Works until this process has had so much more of a processor.
  private func work(nanoseconds: Int64) throws {
    let begin = try #require(ProcessTable.processorTime(of: getpid()))
    while try #require(ProcessTable.processorTime(of: getpid())) - begin < nanoseconds {}
  }

  @Test func aThreadsTimeIsPartOfItsProcesss() throws {
    try work(nanoseconds: 1_000_000)
    let thread = try #require(ProcessTable.processorTime(ofThread: pthread_self()))
    let process = try #require(ProcessTable.processorTime(of: getpid()))
    #expect(thread > 0)
    #expect(thread <= process)
  }

  @Test func anEndedChildsTimeIsItsParents() throws {
    let before = try #require(ProcessTable.reapedProcessorTime(of: getpid()))
    let shell = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"
    let child = try RunningProcess(
      pid: try SpawnRequest(executable: "/bin/sh", arguments: ["/bin/sh", "-c", shell], environment: []).spawn())
    let pid = child.pid
    #expect(try child.wait(milliseconds: 60_000)?.code == 0)
    #expect(ProcessTable.processorTime(of: pid) == nil)
    #expect(try #require(ProcessTable.reapedProcessorTime(of: getpid())) > before)
  }
}
