"""Which curves are plotted, and from which figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reporting.figures import Figures
from reporting.plots import Axis, Series, plot


@dataclass(frozen=True)
class Line:
    """Figures of one kind, against one of their parameters."""

    name: str
    benchmark: str
    subject: str
    figure: str
    x: str
    parameters: dict[str, Any]

    def points(self, figures: Figures) -> list[tuple[float, float]]:
        """Those that are there."""
        found = figures.all(self.benchmark, self.subject, self.figure, **self.parameters)
        return [(figure.parameters[self.x], figure.median) for figure in found if self.x in figure.parameters]


@dataclass(frozen=True)
class Quantiles:
    """Figures that are quantiles of one kind."""

    name: str
    subject: str
    figure: str
    parameters: dict[str, Any]

    def points(self, figures: Figures) -> list[tuple[float, float]]:
        """Those that are there."""
        medians = (
            figures.median("latency", self.subject, f"{self.figure}, {quantile}", **self.parameters)
            for quantile in QUANTILES
        )
        return [(index, value) for index, value in enumerate(medians) if value is not None]


QUANTILES = ("p50", "p99", "p99.9")


@dataclass(frozen=True)
class Curve:
    """A plot, the file it goes to, and its lines."""

    file: str
    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line | Quantiles]

    def draw(self, figures: Figures) -> str | None:
        """Draw what is there of it; None if nothing is."""
        series = [Series(line.name, points) for line in self.lines if (points := line.points(figures))]
        return plot(self.title, self.x, self.y, series) if series else None


def _subjects(benchmark: str, figure: str, x: str, **parameters: Any) -> list[Line]:
    return [
        Line("hordelink", benchmark, "hordelink", figure, x, parameters),
        Line("peer, pubsub", benchmark, "peer", figure, x, parameters | {"layer": "pubsub"}),
        Line("peer, core", benchmark, "peer", figure, x, parameters | {"layer": "core"}),
    ]


def _cost(file: str, title: str, axis: Axis, x: str) -> Curve:
    lines = [
        Line("time", "cost", "hordelink", "time an update", x, {}),
        Line("CPU", "cost", "hordelink", "CPU an update", x, {}),
    ]
    return Curve(file, title, axis, Axis("µs an update", logarithmic=True), lines)


CURVES = [
    Curve(
        "burst.svg",
        "Updates a second in a burst, worker to facilitator",
        Axis("open jobs", logarithmic=True),
        Axis("updates a second", logarithmic=True),
        _subjects("burst", "updates a second", "jobs"),
    ),
    Curve(
        "burst-cpu.svg",
        "CPU time of an update in a burst",
        Axis("open jobs", logarithmic=True),
        Axis("µs an update", logarithmic=True),
        _subjects("burst", "CPU an update", "jobs"),
    ),
    Curve(
        "latency.svg",
        "Latency of an update, 500 a second over 200 jobs",
        Axis("quantile", names=QUANTILES),
        Axis("ms", logarithmic=True),
        [
            Quantiles("hordelink, to the facilitator", "hordelink", "to the facilitator", {}),
            Quantiles("to the acknowledgement", "hordelink", "to the acknowledgement", {}),
            Quantiles("peer, pubsub", "peer", "to the facilitator", {"layer": "pubsub"}),
            Quantiles("peer, core", "peer", "to the facilitator", {"layer": "core"}),
        ],
    ),
    _cost("cost-backlog.svg", "Cost of an update behind a backlog", Axis("updates that wait"), "backlog"),
    _cost("cost-jobs.svg", "Cost of an update beside open jobs", Axis("open jobs", logarithmic=True), "jobs"),
    _cost(
        "cost-metadata.svg",
        "Cost of an update with metadata",
        Axis("bytes of metadata", logarithmic=True),
        "metadata",
    ),
    Curve(
        "memory.svg",
        "Resident memory with open jobs",
        Axis("open jobs"),
        Axis("KiB", logarithmic=True),
        [
            Line("Supervisor", "memory", "hordelink", "Supervisor, resident", "jobs", {}),
            Line("Uplink", "memory", "hordelink", "Uplink, resident", "jobs", {}),
            Line("a Listener's own", "memory", "hordelink", "Listener, anonymous", "jobs", {}),
            Line("peer", "memory", "peer", "resident", "jobs", {}),
        ],
    ),
    Curve(
        "group-commit.svg",
        "Rows a second by the rows of a commit, synchronous=FULL, 200 bytes each",
        Axis("rows a commit", logarithmic=True),
        Axis("rows a second", logarithmic=True),
        [
            Line(name, "group-commit", subject, "rows a second", "batch", {"metadata": 200, "deletes": deletes})
            for name, subject, deletes in (
                ("Store", "hordelink", False),
                ("SQLite itself", "floor", False),
                ("SQLite, removing as many", "floor", True),
            )
        ],
    ),
]
