"""Figures as the measuring programs print them, and the machine that they were measured on."""

import ctypes
import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


class NotAFigureError(Exception):
    """A program printed a line of JSON that is no figure."""


@dataclass(frozen=True)
class Figure:
    """One figure: a value for each repetition of its measurement."""

    benchmark: str
    # Whose it is: hordelink, peer, sink or floor.
    subject: str
    figure: str
    unit: str
    values: list[float]
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """What counts of the repetitions."""
        return statistics.median(self.values)

    def fits(self, parameters: dict[str, Any]) -> bool:
        """Whether it was measured with these parameters, as far as it says."""
        return all(self.parameters.get(name, value) == value for name, value in parameters.items())


def parse(line: str) -> Figure:
    """Read a line of a measuring program."""
    try:
        value = Figure(**json.loads(line))
        if not value.values or not all(isinstance(number, int | float) for number in value.values):
            raise NotAFigureError(f"a figure without values, or with some that are no numbers: {line}")
    except (TypeError, ValueError) as error:
        raise NotAFigureError(f"{error}: {line}") from error
    return value


class Figures:
    """All that are known, each once."""

    def __init__(self, figures: Iterable[Figure] = ()) -> None:
        """Begin with these."""
        self._figures = list(figures)

    def __iter__(self) -> Iterator[Figure]:
        """Those known, in the order in which they came."""
        return iter(self._figures)

    def add(self, figure: Figure) -> None:
        """Take a figure; its values beside those that are known of the same measurement."""
        for index, known in enumerate(self._figures):
            if replace(known, values=figure.values) == figure:
                self._figures[index] = replace(known, values=known.values + figure.values)
                return
        self._figures.append(figure)

    def all(self, benchmark: str, subject: str, figure: str, **parameters: Any) -> list[Figure]:
        """Those of one kind."""
        kind = (benchmark, subject, figure)
        return [
            known
            for known in self._figures
            if (known.benchmark, known.subject, known.figure) == kind and known.fits(parameters)
        ]

    def median(self, benchmark: str, subject: str, figure: str, **parameters: Any) -> float | None:
        """The first of one kind; None if it is missing."""
        found = self.all(benchmark, subject, figure, **parameters)
        return found[0].median if found else None

    @staticmethod
    def load(file: Path) -> "Figures":
        """What was written before; nothing if there is no such file."""
        if not file.exists():
            return Figures()
        known = json.loads(file.read_text())["figures"]
        return Figures(
            Figure(**{name: value for name, value in figure.items() if name != "median"}) for figure in known
        )

    def write(self, file: Path, machine: dict[str, str]) -> None:
        """Write all of them with their medians, and where they were measured, as JSON."""
        lines = [json.dumps(asdict(figure) | {"median": figure.median}) for figure in self._figures]
        text = ",\n    ".join(lines)
        head = json.dumps(machine, indent=2).replace("\n", "\n  ")
        file.write_text(f'{{\n  "machine": {head},\n  "figures": [\n    {text}\n  ]\n}}\n')


def machine(python: Path) -> dict[str, str]:
    """Say what the figures depend on: nothing that would tell one machine of a kind from another.

    `python` is the peer's interpreter.
    """
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    system = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": system[1] if system else "unknown",
        "kernel": f"Linux {os.uname().release}",
        "Swift": _version("swift", "--version", pattern=r"Swift version (\S+)"),
        "SQLite": _sqlite(),
        "Redis": _version("redis-server", "--version", pattern=r"v=(\S+)"),
        "Python": _version(str(python), "--version", pattern=r"Python (\S+)"),
    }


def _version(*command: str, pattern: str) -> str:
    try:
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "missing"
    found = re.search(pattern, output)
    return found[1] if found else "unknown"


def _sqlite() -> str:
    """The version of the library that hordelink is linked with, which need not be Python's own."""
    try:
        library = ctypes.CDLL("libsqlite3.so.0")
    except OSError:
        return "missing"
    library.sqlite3_libversion.restype = ctypes.c_char_p
    return str(library.sqlite3_libversion().decode())
