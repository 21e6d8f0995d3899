"""Channels that many threads or tasks share, that outlive forks and event loops, and that are closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scripted_server import Connection, Script, ScriptedServer
from twins import JOB, Client

import hordelink
from hordelink import Closed, Unreachable

REAL_POLL = select.poll
SEED = int(os.environ.get("HORDELINK_TEST_SEED") or random.SystemRandom().getrandbits(32))


class Losing:
    """Loses connections at random, with and without an answer; notes the order in which messages first came."""

    def __init__(self, losses: int) -> None:
        self._dice = random.Random(SEED)
        self._losses = losses
        self.order: defaultdict[str, list[int]] = defaultdict(list)

    def scripts(self) -> list[Script]:
        return [*[self._lose] * self._losses, self._keep]

    def _note(self, message: dict[str, Any] | None) -> bool:
        if message is None:
            return False
        payload = message["payload"]
        sender, number = payload["metadata"]["sender"], payload["metadata"]["number"]
        if number not in self.order[sender]:
            self.order[sender].append(number)
        return True

    def _lose(self, connection: Connection) -> None:
        for _ in range(self._dice.randrange(8)):
            message = connection.receive()
            if not self._note(message):
                return
            connection.answer(message)
        for _ in range(self._dice.randrange(4)):
            connection.stream.settimeout(0.02)
            try:
                self._note(connection.receive())
            except TimeoutError:
                return

    def _keep(self, connection: Connection) -> None:
        connection.stream.settimeout(None)
        while self._note(message := connection.receive()):
            connection.answer(message)


@pytest.mark.parametrize("losses", [0, 200])
def test_each_of_many_threads_keeps_its_order(socket_path: str, losses: int) -> None:
    print(f"HORDELINK_TEST_SEED={SEED}")
    senders, count = 16, 100
    losing = Losing(losses)
    with (
        ScriptedServer(socket_path, losing.scripts()) as server,
        hordelink.Channel(JOB, socket_path) as channel,
        ThreadPoolExecutor(senders) as pool,
    ):

        def send(sender: int) -> None:
            for number in range(count):
                channel.send_status("unknown", {"sender": str(sender), "number": number})

        list(pool.map(send, range(senders)))
        if losses == 0:
            assert server.connections == 1
        # The last script is for a connection that may not have been needed.
        while losses and server.connections <= losses:
            with socket.socket(socket.AF_UNIX) as spare:
                spare.connect(socket_path)
    assert losing.order == {str(sender): list(range(count)) for sender in range(senders)}


@pytest.mark.parametrize("losses", [0, 200])
def test_each_of_many_tasks_keeps_its_order(socket_path: str, losses: int) -> None:
    print(f"HORDELINK_TEST_SEED={SEED}")
    senders, count = 100, 20
    losing = Losing(losses)

    async def main() -> None:
        async with hordelink.AsyncChannel(JOB, socket_path) as channel:

            async def send(sender: int) -> None:
                for number in range(count):
                    await channel.send_status("unknown", {"sender": str(sender), "number": number})

            await asyncio.gather(*(send(sender) for sender in range(senders)))

    with ScriptedServer(socket_path, losing.scripts()) as server:
        asyncio.run(main())
        while losses and server.connections <= losses:
            with socket.socket(socket.AF_UNIX) as spare:
                spare.connect(socket_path)
    assert losing.order == {str(sender): list(range(count)) for sender in range(senders)}


def test_one_channel_keeps_one_connection(client: Client, socket_path: str) -> None:
    with ScriptedServer(socket_path, [Connection.acknowledge_all]) as server:
        client.send_on_one(socket_path, ["accepted", "executor_ready", "volumes_ready", "completed"])
    assert server.statuses == ["accepted", "executor_ready", "volumes_ready", "completed"]


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(socket_path: str) -> None:
    too_late = threading.Event()

    def answer_late(connection: Connection) -> None:
        message = connection.receive()
        assert too_late.wait(30)
        connection.refuse(message, "invalid")
        connection.acknowledge_all()

    with ScriptedServer(socket_path, [answer_late]) as server:
        channel = hordelink.Channel(JOB, socket_path, timeout=0.05)
        with pytest.raises(Unreachable):
            channel.send_status("accepted")
        too_late.set()
        channel._timeout = None
        channel.send_status("executor_ready")
        channel.close()
    assert server.statuses == ["accepted", "executor_ready"]


def test_what_nobody_waits_for_is_not_sent_again(socket_path: str) -> None:
    timed_out = threading.Event()

    def hold(connection: Connection) -> None:
        connection.receive()
        assert timed_out.wait(30)

    with ScriptedServer(socket_path, [hold, Connection.acknowledge_all]) as server:
        channel = hordelink.Channel(JOB, socket_path, timeout=0.05)
        with pytest.raises(Unreachable):
            channel.send_status("accepted")
        timed_out.set()
        channel._timeout = None
        channel.send_status("executor_ready")
        channel.close()
    assert server.statuses[-1] == "executor_ready"
    assert server.statuses.count("accepted") == 1


def test_what_times_out_while_nothing_is_read_does_not_pile_up(socket_path: str) -> None:
    done = threading.Event()
    with ScriptedServer(socket_path, [lambda _: done.wait(30)]):
        with hordelink.Channel(JOB, socket_path, timeout=0) as channel:
            for _ in range(200):
                with pytest.raises(Unreachable):
                    channel.send_status("accepted", {"text": "x" * 100_000})
            held = sum(len(request.frame) for request in channel._link._unanswered)
            assert (held, len(channel._link._unanswered) <= 64) == (0, True)
        done.set()


def test_no_more_is_under_way_than_a_listener_reads_unanswered(client: Client, socket_path: str) -> None:
    def read_all_first(connection: Connection) -> None:
        messages = [connection.receive() for _ in range(64)]
        connection.stream.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.receive()
        connection.stream.settimeout(None)
        for message in messages:
            connection.answer(message)
        connection.acknowledge_all()

    with ScriptedServer(socket_path, [read_all_first]) as server:
        assert client.send_at_once(socket_path, ["unknown"] * 100, timeout=20) == [None] * 100
    assert len(server.received) == 100


def test_the_thread_that_waits_for_all_sends_what_another_could_not(socket_path: str) -> None:
    waiting, large = threading.Event(), threading.Event()

    def read_late(connection: Connection) -> None:
        first = connection.receive()
        waiting.set()
        # By then the other's frame has filled the socket.
        assert large.wait(30)
        second = connection.receive()
        connection.answer(first)
        connection.answer(second)

    with (
        ScriptedServer(socket_path, [read_late]) as server,
        hordelink.Channel(JOB, socket_path, timeout=30) as channel,
        ThreadPoolExecutor(2) as pool,
    ):
        sent = [pool.submit(channel.send_status, "accepted")]
        assert waiting.wait(30)
        while channel._leading is None:
            assert not sent[0].done()
        sent.append(pool.submit(channel.send_status, "executor_ready", {"text": "x" * (4 << 20)}))
        while not channel._link.wants_write:
            assert not sent[1].done()
        large.set()
        for future in sent:
            future.result(60)
    assert server.statuses == ["accepted", "executor_ready"]


def test_the_thread_that_waits_for_all_learns_that_another_has_read_its_answer(
    socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poll:
        """Has the others win every race for the answers: the one that waits for all does not see them come."""

        def __init__(self) -> None:
            self._poll = REAL_POLL()

        def register(self, watched: socket.socket, events: int) -> None:
            if watched is not channel._link.socket:
                self._poll.register(watched, events)

        def poll(self, milliseconds: int) -> list[tuple[int, int]]:
            return self._poll.poll(milliseconds)

    monkeypatch.setattr("select.poll", Poll)
    with (
        ScriptedServer(socket_path, [Connection.acknowledge_all]),
        hordelink.Channel(JOB, socket_path, timeout=None) as channel,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(channel.send_status, "accepted")
        while not first.done():
            with contextlib.suppress(Unreachable):
                channel._send({"type": "job_status_update", "payload": {"status": "sent"}}, "another", 0)
        first.result()


def test_an_idle_channel_leaves_nothing_in_the_event_loop(socket_path: str) -> None:
    async def main() -> None:
        async with hordelink.AsyncChannel(JOB, socket_path) as channel:
            await channel.send_status("accepted")
            connection = channel._link.socket
            assert connection is not None
            assert not asyncio.get_running_loop().remove_reader(connection)

    with ScriptedServer(socket_path, [Connection.acknowledge_all]):
        asyncio.run(main())


def test_other_threads_wait_on_when_the_one_that_waits_for_all_gives_up(socket_path: str) -> None:
    answer = threading.Event()

    def answer_later(connection: Connection) -> None:
        messages = [connection.receive(), connection.receive()]
        assert answer.wait(30)
        for message in messages:
            connection.answer(message)

    with ScriptedServer(socket_path, [answer_later]), hordelink.Channel(JOB, socket_path) as channel:
        impatient = threading.Event()

        def give_up() -> None:
            with pytest.raises(Unreachable):
                channel._send({"type": "job_status_update", "payload": {"status": "sent"}}, "it", 0.2)
            impatient.set()

        threads = [threading.Thread(target=give_up)]
        threads[0].start()
        while channel._leading is None:
            threads[0].join(0.001)
        threads.append(threading.Thread(target=channel.send_status, args=("accepted",)))
        threads[1].start()
        assert impatient.wait(30)
        answer.set()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


def test_closing_ends_those_that_wait(socket_path: str) -> None:
    received = threading.Event()

    def hold(connection: Connection) -> None:
        connection.receive()
        connection.receive()
        received.set()
        connection.receive()

    with ScriptedServer(socket_path, [hold]), ThreadPoolExecutor(2) as pool:
        channel = hordelink.Channel(JOB, socket_path, timeout=None)
        waiting = [pool.submit(channel.send_status, "accepted") for _ in range(2)]
        assert received.wait(30)
        channel.close()
        for future in waiting:
            with pytest.raises(Closed):
                future.result(30)
        with pytest.raises(Closed):
            channel.send_status("accepted")


def test_closing_ends_those_that_wait_in_asyncio(socket_path: str) -> None:
    async def main() -> None:
        channel = hordelink.AsyncChannel(JOB, socket_path, timeout=None)
        waiting = asyncio.create_task(channel.send_status("accepted"))
        await asyncio.sleep(0)
        await channel.close()
        with pytest.raises(Closed):
            await waiting
        with pytest.raises(Closed):
            await channel.send_status("accepted")

    with ScriptedServer(socket_path, [lambda connection: connection.receive() and connection.receive()]):
        asyncio.run(main())


def test_a_cancelled_call_leaves_the_channel_to_the_others(socket_path: str) -> None:
    cancelled = threading.Event()

    def answer_later(connection: Connection) -> None:
        messages = [connection.receive(), connection.receive()]
        assert cancelled.wait(30)
        for message in messages:
            connection.answer(message)
        connection.acknowledge_all()

    async def main() -> None:
        async with hordelink.AsyncChannel(JOB, socket_path) as channel:
            first = asyncio.create_task(channel.send_status("accepted"))
            second = asyncio.create_task(channel.send_status("executor_ready"))
            await asyncio.sleep(0)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            cancelled.set()
            await second
            await channel.send_status("volumes_ready")

    with ScriptedServer(socket_path, [answer_later]) as server:
        asyncio.run(main())
    assert server.statuses == ["accepted", "executor_ready", "volumes_ready"]


def test_a_time_limit_of_the_callers_own_holds(socket_path: str) -> None:
    async def main() -> None:
        async with hordelink.AsyncChannel(JOB, socket_path, timeout=None) as channel:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await channel.send_status("accepted")

    asyncio.run(main())


def test_one_event_loop_after_the_other_may_use_a_channel(socket_path: str) -> None:
    with ScriptedServer(socket_path, [Connection.acknowledge_all]) as server:
        channel = hordelink.AsyncChannel(JOB, socket_path)
        asyncio.run(channel.send_status("accepted"))
        asyncio.run(channel.send_status("executor_ready"))
        asyncio.run(channel.close())
    assert server.connections == 1


def test_two_event_loops_at_once_may_not(socket_path: str) -> None:
    channel = hordelink.AsyncChannel(JOB, socket_path, timeout=None)

    async def main() -> None:
        waiting = asyncio.create_task(channel.send_status("accepted"))
        await asyncio.sleep(0)
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="another event loop"):
            pool.submit(lambda: asyncio.run(channel.send_status("accepted"))).result()
        waiting.cancel()
        await asyncio.wait([waiting])

    asyncio.run(main())


FORKING = """
import os, sys, threading
import hordelink

channel = hordelink.Channel(sys.argv[1], sys.argv[2])
channel.send_status("accepted")
# A thread that holds the channel up at the moment of the fork is not in the child.
held = threading.Thread(target=lambda: channel.send_status("executor_ready"))
held.start()
while channel._leading is None:
    pass
child = os.fork()
if child == 0:
    channel.send_status("volumes_ready")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
channel.send_status("completed")
held.join()
"""


def test_a_child_process_has_a_connection_of_its_own(socket_path: str) -> None:
    """The parent's second status is held until the child's has come, so that the fork happens meanwhile."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_path)
        listening.listen()
        program = subprocess.Popen([sys.executable, "-W", "ignore", "-c", FORKING, JOB, socket_path])
        try:
            received: list[dict[str, Any]] = []
            listening.settimeout(30)
            with listening.accept()[0] as stream:
                parent = Connection(stream, received)
                parent.answer(parent.receive())
                held = parent.receive()
                with listening.accept()[0] as other:
                    Connection(other, received).acknowledge_all()
                parent.answer(held)
                parent.acknowledge_all()
            assert program.wait(30) == 0
            statuses = [message["payload"]["status"] for message in received]
            assert statuses == ["accepted", "executor_ready", "volumes_ready", "completed"]
        finally:
            program.kill()
            program.wait()
