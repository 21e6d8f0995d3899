"""What both twins do when the other end behaves in one way or another."""

from __future__ import annotations

import asyncio
import datetime
import errno
import os
import pickle
import socket
import threading
from typing import Any

import pytest
from scripted_server import Connection, ScriptedServer, framed
from twins import JOB, Client

import hordelink
from hordelink import JobClosed, NotConfigured, ProtocolError, Refused, Unreachable

OK = framed({"id": 1, "ok": True})


def acknowledge_one(connection: Connection) -> None:
    connection.answer(connection.receive())


def lose_one(connection: Connection) -> None:
    connection.receive()


def test_a_status_is_sent_as_the_protocol_has_it(client: Client, socket_path: str) -> None:
    metadata = {
        "miner_response": {"docker_process_stdout": "é", "docker_process_stderr": "", "exit": 1.5},
        "more": [b"1"],
    }
    with ScriptedServer(socket_path, [acknowledge_one]) as server:
        client.send("completed", metadata, uuid=JOB, socket=socket_path)
    payload = {"message_type": "V0JobStatusUpdate", "uuid": JOB, "status": "completed", "metadata": metadata}
    assert server.received == [{"id": 1, "type": "job_status_update", "payload": payload}]


def test_job_and_socket_come_from_the_environment(
    client: Client, socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORDELINK_JOB_UUID", JOB)
    monkeypatch.setenv("HORDELINK_SOCKET", socket_path)
    with ScriptedServer(socket_path, [acknowledge_one]) as server:
        client.send("accepted")
    assert server.received[0]["payload"] == {
        "message_type": "V0JobStatusUpdate",
        "uuid": JOB,
        "status": "accepted",
        "metadata": None,
    }


@pytest.mark.parametrize("missing", ["HORDELINK_JOB_UUID", "HORDELINK_SOCKET"])
def test_what_is_not_configured_is_named(client: Client, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORDELINK_JOB_UUID", JOB)
    monkeypatch.setenv("HORDELINK_SOCKET", "/nowhere")
    monkeypatch.delenv(missing)
    with pytest.raises(NotConfigured, match=missing):
        client.send("accepted", timeout=None)


def test_a_lost_connection_is_made_anew_and_the_status_sent_again(client: Client, socket_path: str) -> None:
    with ScriptedServer(socket_path, [lose_one, lambda _: None, acknowledge_one]) as server:
        client.send("accepted", uuid=JOB, socket=socket_path)
    assert server.statuses == ["accepted", "accepted"]


def test_only_what_was_not_answered_is_sent_again_in_order(client: Client, socket_path: str) -> None:
    first: list[str] = []

    def answer_one_of_three(connection: Connection) -> None:
        messages = [connection.receive() for _ in range(3)]
        first.extend(message["payload"]["status"] for message in messages if message)
        connection.answer(messages[0])

    with ScriptedServer(socket_path, [answer_one_of_three, Connection.acknowledge_all]) as server:
        assert client.send_at_once(socket_path, ["accepted", "executor_ready", "volumes_ready"]) == [None] * 3
    assert sorted(first) == ["accepted", "executor_ready", "volumes_ready"]
    assert server.statuses == first + first[1:]


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_socket_that_refuses_first_is_tried_again(client: Client, socket_path: str, is_missing: bool) -> None:
    if not is_missing:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(socket_path)
    started = threading.Event()

    def send() -> None:
        started.set()
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=None)

    thread = threading.Thread(target=send)
    thread.start()
    started.wait()
    thread.join(0.1)
    assert thread.is_alive()
    if not is_missing:
        os.unlink(socket_path)
    with ScriptedServer(socket_path, [acknowledge_one]) as server:
        thread.join(30)
    assert server.statuses == ["accepted"]


def test_a_full_backlog_is_waited_for(client: Client, socket_path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_path)
        listening.listen(0)
        others: list[socket.socket] = []
        backlog_is_full = False
        while not backlog_is_full:
            others.append(socket.socket(socket.AF_UNIX))
            others[-1].setblocking(False)
            backlog_is_full = others[-1].connect_ex(socket_path) == errno.EAGAIN
        with pytest.raises(Unreachable) as caught:
            client.send("accepted", uuid=JOB, socket=socket_path, timeout=0.05)
        assert isinstance(caught.value.__cause__, BlockingIOError)
        thread = threading.Thread(
            target=lambda: client.send("accepted", uuid=JOB, socket=socket_path, timeout=None),
        )
        thread.start()
        accepted = [listening.accept()[0] for _ in range(len(others) - 1)]
        stream, _ = listening.accept()
        with stream:
            stream.recv(65_536)
            stream.sendall(OK)
            thread.join(30)
        assert not thread.is_alive()
        for connection in others + accepted:
            connection.close()


@pytest.mark.parametrize("code", ["invalid", "wrong_job", "too_large", "malformed", "job_closed", "of_a_later_release"])
def test_a_refusal_is_raised_with_code_and_message(client: Client, socket_path: str, code: str) -> None:
    def refuse(connection: Connection) -> None:
        connection.refuse(connection.receive(), code, "payload.status: it is wrong")

    with ScriptedServer(socket_path, [refuse]) as server, pytest.raises(Refused) as caught:
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=None)
    assert len(server.received) == 1
    error = caught.value
    assert (error.code, error.message) == (code, "payload.status: it is wrong")
    assert isinstance(error, JobClosed) == (code == "job_closed")
    for part in (code, "payload.status: it is wrong", "accepted", JOB):
        assert part in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, str(copy)) == (type(error), error.args, str(error))


def test_one_refusal_holds_up_none_of_the_others(client: Client, socket_path: str) -> None:
    def refuse_one(connection: Connection) -> None:
        while (message := connection.receive()) is not None:
            if message["payload"]["status"] == "executor_ready":
                connection.refuse(message, "invalid")
            else:
                connection.answer(message)

    with ScriptedServer(socket_path, [refuse_one]):
        first, second, third = client.send_at_once(socket_path, ["accepted", "executor_ready", "volumes_ready"])
    assert first is None
    assert isinstance(second, Refused)
    assert third is None


def test_a_refusal_before_the_end_of_a_large_frame_counts_although_the_connection_ends(
    client: Client, socket_path: str
) -> None:
    def refuse(connection: Connection) -> None:
        connection.read(4)
        connection.write(framed({"ok": False, "error": {"code": "malformed", "message": "no frame of ours"}}))

    with ScriptedServer(socket_path, [refuse]), pytest.raises(Refused, match="malformed"):
        client.send("accepted", {"text": "x" * (8 << 20)}, uuid=JOB, socket=socket_path, timeout=None)


def test_a_frame_that_is_refused_early_is_sent_to_its_end(socket_path: str) -> None:
    def refuse_first(connection: Connection) -> None:
        head = connection.read(4)
        assert head is not None
        connection.write(framed({"ok": False, "error": {"code": "too_large", "message": "8 MiB"}}))
        connection.read(int.from_bytes(head))
        connection.acknowledge_all()

    with ScriptedServer(socket_path, [refuse_first]) as server, hordelink.Channel(JOB, socket_path) as channel:
        with pytest.raises(Refused, match="too_large"):
            channel.send_status("accepted", {"text": "x" * (8 << 20)})
        channel.send_status("executor_ready")
        channel.close()
    assert server.statuses == ["executor_ready"]


@pytest.mark.parametrize("mebibytes", [1, 20])
def test_large_frames_arrive_whole(client: Client, socket_path: str, mebibytes: int) -> None:
    metadata = {"text": "x" * (mebibytes << 20)}
    with ScriptedServer(socket_path, [acknowledge_one]) as server:
        client.send("completed", metadata, uuid=JOB, socket=socket_path)
    assert server.received[0]["payload"]["metadata"] == metadata


def test_what_no_service_takes_is_not_sent(client: Client) -> None:
    with pytest.raises(Refused, match="too_large"):
        client.send("completed", {"text": "x" * (64 << 20)}, uuid=JOB, socket="/nowhere", timeout=None)


@pytest.mark.parametrize("value", [datetime.datetime.now(), {1, 2}, 1 << 64, "\ud800", object()])
def test_what_is_no_messagepack_is_not_sent(client: Client, value: object) -> None:
    with pytest.raises(Refused, match="invalid"):
        client.send("completed", {"value": value}, uuid=JOB, socket="/nowhere", timeout=None)


def test_an_answer_in_pieces_is_put_together(client: Client, socket_path: str) -> None:
    def answer_slowly(connection: Connection) -> None:
        connection.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        connection.receive()
        for byte in OK:
            connection.write(bytes([byte]))

    with ScriptedServer(socket_path, [answer_slowly]):
        client.send("accepted", uuid=JOB, socket=socket_path)


@pytest.mark.parametrize("length", [1, 4, len(OK) - 1])
def test_half_an_answer_is_none_and_nothing_of_it_counts_later(client: Client, socket_path: str, length: int) -> None:
    def answer_in_part(connection: Connection) -> None:
        connection.receive()
        connection.write(OK[:length])

    with ScriptedServer(socket_path, [answer_in_part, answer_in_part, acknowledge_one]) as server:
        client.send("accepted", uuid=JOB, socket=socket_path)
    assert server.statuses == ["accepted"] * 3


def test_an_answer_given_before_the_connection_ended_counts(client: Client, socket_path: str) -> None:
    with ScriptedServer(socket_path, [acknowledge_one, acknowledge_one]) as server:
        client.send_on_one(socket_path, ["accepted", "executor_ready"])
    assert server.statuses == ["accepted", "executor_ready"]


@pytest.mark.parametrize(
    "answer",
    [
        framed({"id": 77, "ok": True}),
        framed({}),
        framed("ok"),
        framed({"id": 1, "ok": False}),
        framed({"id": 1, "ok": False, "error": {"code": 1, "message": "one"}}),
        framed({"id": 1, "ok": 1}),
        b"\0\0\0\x01\xc1",
        b"\0\0\0\0",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_what_does_not_speak_the_protocol_is_said_to_be_so(client: Client, socket_path: str, answer: bytes) -> None:
    def talk(connection: Connection) -> None:
        connection.receive()
        connection.write(answer)
        connection.receive()

    with ScriptedServer(socket_path, [talk]), pytest.raises(ProtocolError, match=r"worker\.sock"):
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=None)


def test_an_answer_to_nothing_is_none_to_what_comes_next(client: Client, socket_path: str) -> None:
    def answer_twice(connection: Connection) -> None:
        connection.receive()
        connection.write(OK + framed({"id": 2, "ok": True}))
        connection.receive()

    with ScriptedServer(socket_path, [answer_twice, acknowledge_one]) as server:
        client.send_on_one(socket_path, ["accepted", "executor_ready"])
    assert server.statuses == ["accepted", "executor_ready"]
    assert server.connections == 2


def test_time_is_up_where_nothing_listens(client: Client, socket_path: str) -> None:
    with pytest.raises(Unreachable, match="status accepted of job") as caught:
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=0.05)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert socket_path in str(caught.value)


def test_time_is_up_where_nothing_is_answered(client: Client, socket_path: str) -> None:
    with ScriptedServer(socket_path, [lambda connection: connection.receive() and connection.receive()]):
        with pytest.raises(Unreachable) as caught:
            client.send("accepted", uuid=JOB, socket=socket_path, timeout=0.05)
        assert caught.value.__cause__ is None


def test_time_is_up_where_nothing_is_read(client: Client, socket_path: str) -> None:
    done = threading.Event()
    with ScriptedServer(socket_path, [lambda _: done.wait(30)]):
        with pytest.raises(Unreachable):
            client.send("accepted", {"text": "x" * (4 << 20)}, uuid=JOB, socket=socket_path, timeout=0.05)
        done.set()


def test_no_time_is_enough_for_one_attempt(client: Client, socket_path: str) -> None:
    with pytest.raises(Unreachable) as caught:
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=0)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize(("path", "what"), [("/tmp/" + "x" * 200, "107 bytes"), ("/etc/hostname/x", "Not a directory")])
def test_what_can_never_be_reached_is_not_tried_again(client: Client, path: str, what: str) -> None:
    with pytest.raises(Unreachable, match=what) as caught:
        client.send("accepted", uuid=JOB, socket=path, timeout=None)
    assert isinstance(caught.value.__cause__, OSError)


def test_who_may_not_reach_it_is_told_what_to_do(
    client: Client, socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may do everything, so that the refusal itself has to be made up.
    def refuse(path: str) -> socket.socket:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("hordelink._link._connect", refuse)
    with pytest.raises(Unreachable, match="run as the service's user or in its group"):
        client.send("accepted", uuid=JOB, socket=socket_path, timeout=None)


def test_machine_specs_are_sent_as_the_protocol_has_them(socket_path: str) -> None:
    specs: dict[str, Any] = {"gpu": {"count": 1}, "é": None}

    async def main() -> None:
        await hordelink.aio.send_specs(specs, miner_hotkey="5F", batch_id="2", socket=socket_path)
        async with hordelink.AsyncSpecsChannel(socket_path) as channel:
            await channel.send_specs(specs, miner_hotkey="5F", batch_id="3")

    with ScriptedServer(socket_path, [acknowledge_one, Connection.acknowledge_all] + [acknowledge_one] * 2) as server:
        hordelink.send_specs(specs, miner_hotkey="5F", batch_id="0", socket=socket_path)
        with hordelink.SpecsChannel(socket_path) as channel:
            channel.send_specs(specs, miner_hotkey="5F", batch_id="1")
        asyncio.run(main())
    assert server.received == [
        {"id": 1, "type": "machine.specs", "batch_id": str(number), "miner_hotkey": "5F", "specs": specs}
        for number in range(4)
    ]
