"""The real service in a temporary folder, with hordelink-dev-facilitator at its other end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAMS = Path(os.environ.get("HORDELINK_PROGRAMS", Path(__file__).parents[3] / ".build/debug")).absolute()

# //Alice, with whose key the dev facilitator signs jobs.
SIGNER = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

_NAMES = [
    "hordelink-supervisor",
    "hordelink-uplink",
    "hordelink-listener",
    "hordelink-dispatch-celery",
    "hordelink-dev-facilitator",
    "hordelinkctl",
]


def missing() -> str | None:
    """Why there is no service to test with."""
    absent = [name for name in _NAMES if not (PROGRAMS / name).is_file()]
    return f"{', '.join(absent)} not in {PROGRAMS}: swift build, or HORDELINK_PROGRAMS" if absent else None


def is_running(pid: int) -> bool:
    """Whether that process is there."""
    return Path(f"/proc/{pid}").exists()


# A launcher that does nothing, so that the test can be each job's worker.
LAUNCHER = 'command = ["/bin/true"]\ncommand_is = "launcher"'


class Stage:
    """The service is started by `start`; the dev facilitator is there from the first."""

    def __init__(self, *, dispatch: str = LAUNCHER, jobs: str = "", more: str = "") -> None:
        """Write the configuration: the lines of [dispatch], more of them for [jobs], and more sections."""
        self.folder = Path(tempfile.mkdtemp(prefix="hordelink-"))
        self.runtime_directory = self.folder / "run"
        self.events: list[dict[str, Any]] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._supervisor: subprocess.Popen[bytes] | None = None
        with (self.folder / "log").open("ab") as log:
            self._facilitator = subprocess.Popen(
                [PROGRAMS / "hordelink-dev-facilitator", "--json"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        url = self.wait_for("listening")["url"]
        hotkey = self.folder / "hotkey"
        hotkey.touch(0o600)
        hotkey.write_text(json.dumps({"secretSeed": "0x" + secrets.token_hex(32)}))
        self.configuration = self.folder / "hordelink.toml"
        self.configuration.write_text(f"""
state_directory = "{self.folder}/state"
runtime_directory = "{self.runtime_directory}"
[facilitator]
url = "{url}"
[identity]
hotkey_file = "{hotkey}"
[jobs]
trusted_signers = ["{SIGNER}"]
{jobs}
[dispatch]
{dispatch}
{more}
""")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            assert self._facilitator.stdin is not None
            self._facilitator.stdin.close()
            try:
                self._facilitator.wait(10)
            except subprocess.TimeoutExpired:
                self._facilitator.kill()
                self._facilitator.wait()
            self._reader.join()
            assert self._facilitator.stdout is not None
            self._facilitator.stdout.close()
            if kind is not None:
                print(self.log)
            shutil.rmtree(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    # The service

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._supervisor = subprocess.Popen(
                [PROGRAMS / "hordelink-supervisor", "--config", self.configuration],
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
            )
        self.wait_for("authenticated", after=len(self.events))

    @property
    def supervisor_pid(self) -> int:
        assert self._supervisor is not None
        return self._supervisor.pid

    def stop(self) -> int | None:
        """Stop it in order; returns its exit code, nothing if it does not run."""
        if self._supervisor is None:
            return None
        self._supervisor.terminate()
        try:
            return self._supervisor.wait(30)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            return self._supervisor.wait()
        finally:
            self._supervisor = None

    def kill_supervisor(self) -> None:
        """Kill it as a crash would; its children see that and leave."""
        assert self._supervisor is not None
        self._supervisor.kill()
        self._supervisor.wait()
        self._supervisor = None

    def children(self) -> list[dict[str, Any]]:
        """What runs, or nothing while the service does not answer."""
        answer = subprocess.run(
            [PROGRAMS / "hordelinkctl", "status", "--json", "--config", self.configuration],
            capture_output=True,
            text=True,
        )
        with contextlib.suppress(json.JSONDecodeError):
            return list(json.loads(answer.stdout)["children"])
        return []

    def kill(self, name: str, job: str | None = None) -> bool:
        """Kill a child as a crash would; False when there is none that is ready."""
        for child in self.children():
            if (child["name"], child["job"], child["state"]) == (name, job, "ready") and child["pid"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child["pid"], signal.SIGKILL)
                    return True
        return False

    def wait_until_ready(self, jobs: list[str]) -> None:
        """Wait until each job's Listener hears its channel."""
        deadline = time.monotonic() + 30
        while missing := set(jobs) - {child["job"] for child in self.children() if child["state"] == "ready"}:
            assert time.monotonic() < deadline, f"no Listener is ready of {missing}; the log:\n{self.log}"
            time.sleep(0.05)

    # The facilitator

    def tell(self, command: str, **fields: object) -> None:
        assert self._facilitator.stdin is not None
        self._facilitator.stdin.write(json.dumps({"command": command, **fields}) + "\n")
        self._facilitator.stdin.flush()

    def start_job(
        self, *, job: str | None = None, args: Sequence[str] = (), limits: Sequence[int] = (600, 600, 600, 600)
    ) -> str:
        """Send a job and wait until it is accepted. Its socket may not be there yet."""
        job = job or str(uuid.uuid4())
        self.tell("job", uuid=job, args=list(args), limits=list(limits))
        self.wait_for("accepted", uuid=job, status="received")
        return job

    def worker_socket(self, job: str) -> str:
        return str(self.runtime_directory / "jobs" / job / "worker.sock")

    def wait_for(self, event: str, *, after: int = 0, seconds: float = 30, **fields: object) -> dict[str, Any]:
        """Wait for the first event of that name, from that place on, with these fields."""
        deadline = time.monotonic() + seconds
        while True:
            for told in self.events[after:]:
                if told["event"] == event and fields.items() <= told.items():
                    return told
            after = len(self.events)
            try:
                self.events.append(json.loads(self._lines.get(timeout=max(0.0, deadline - time.monotonic()))))
            except queue.Empty:
                raise AssertionError(f"no {event} with {fields} in {seconds} s; the log:\n{self.log}") from None

    def take_events(self) -> None:
        """Read what the facilitator has said by now."""
        # What it is told to do is done behind what it has been sent, and this it says at once.
        self.tell("ask")
        self.wait_for("bad_command", after=len(self.events))

    def accepted(self, job: str, last: str) -> list[str]:
        """What the facilitator has accepted of a job, in order, once it has accepted that last status."""
        self.wait_for("accepted", uuid=job, status=last)
        return [told["status"] for told in self.events if told["event"] == "accepted" and told["uuid"] == job]

    def frame(self, job: str, status: str) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.wait_for("accepted", uuid=job, status=status)["frame"])
        return frame

    def _read(self) -> None:
        assert self._facilitator.stdout is not None
        for line in self._facilitator.stdout:
            self._lines.put(line)
