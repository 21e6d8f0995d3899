"""What the figures have to show: hordelink beside its peer and beside what the machine itself takes."""

from collections.abc import Callable
from dataclasses import dataclass

from reporting.figures import Figures

# One megabyte of the original's 121 is that many KiB.
KIB_OF_MEGABYTE = 1_000_000 / 1024


@dataclass(frozen=True)
class Target:
    """A bound for hordelink's figure divided by another one, or for the figure itself."""

    what: str
    unit: str
    ours: Callable[[Figures], float | None]
    # What it is compared with, None for a bound of its own, and what that is.
    other: Callable[[Figures], float | None] | None
    other_is: str
    bound: float
    # Whether more is better.
    at_least: bool

    def row(self, figures: Figures) -> "Row":
        """Judge it. What is missing is missing, and never met."""
        ours = self.ours(figures)
        other = self.other(figures) if self.other else None
        judged = ours
        if self.other:
            judged = ours / other if ours is not None and other else None
        met = None
        if judged is not None:
            met = judged >= self.bound if self.at_least else judged <= self.bound
        return Row(self, ours, other, judged, met)


@dataclass(frozen=True)
class Row:
    """A target with its figures; None for what is missing."""

    target: Target
    ours: float | None
    other: float | None
    judged: float | None
    met: bool | None


def _burst(figures: Figures, subject: str, figure: str) -> float | None:
    return figures.median("burst", subject, figure, jobs=1000, layer="pubsub")


def _latency(figures: Figures, subject: str, quantile: str) -> float | None:
    return figures.median("latency", subject, f"to the facilitator, {quantile}", layer="pubsub")


def batch_reached(figures: Figures) -> int | None:
    """Of the batches that were measured, the one nearest to what a commit of the burst held."""
    reached = figures.median("burst", "hordelink", "updates a commit", jobs=1000)
    batches = sorted(
        {int(figure.parameters["batch"]) for figure in figures.all("group-commit", "hordelink", "rows a second")}
    )
    if reached is None or reached <= 0 or not batches:
        return None
    return min(batches, key=lambda batch: max(batch / reached, reached / batch))


def _stored(figures: Figures, subject: str) -> float | None:
    batch = batch_reached(figures)
    if batch is None:
        return None
    return figures.median("group-commit", subject, "rows a second", batch=batch, metadata=200, deletes=False)


TARGETS = [
    Target(
        "burst of 1,000 jobs",
        "updates a second",
        lambda figures: _burst(figures, "hordelink", "updates a second"),
        lambda figures: _burst(figures, "peer", "updates a second"),
        "peer",
        10,
        at_least=True,
    ),
    Target(
        "backlog drained",
        "updates a second",
        lambda figures: figures.median("backlog", "hordelink", "updates a second"),
        # It has no backlog: what it keeps for later is nothing.
        lambda figures: _burst(figures, "peer", "updates a second"),
        "peer, its burst",
        10,
        at_least=True,
    ),
    Target(
        "backlog drained",
        "updates a second",
        lambda figures: figures.median("backlog", "hordelink", "updates a second"),
        lambda figures: (
            figures.median("backlog", "sink", "updates a second") or figures.median("burst", "sink", "updates a second")
        ),
        "sink, from a bare sender",
        0.5,
        at_least=True,
    ),
    Target(
        "whole jobs",
        "jobs a second",
        lambda figures: figures.median("jobs", "hordelink", "jobs a second"),
        lambda figures: figures.median("jobs", "peer", "jobs a second", layer="pubsub"),
        "peer",
        3,
        at_least=True,
    ),
    Target(
        "CPU an update, burst of 1,000 jobs",
        "µs",
        lambda figures: _burst(figures, "hordelink", "CPU an update"),
        lambda figures: _burst(figures, "peer", "CPU an update"),
        "peer",
        0.1,
        at_least=False,
    ),
    Target(
        "latency at 500 a second, p50",
        "ms",
        lambda figures: _latency(figures, "hordelink", "p50"),
        lambda figures: _latency(figures, "peer", "p50"),
        "peer",
        1,
        at_least=False,
    ),
    Target(
        "latency at 500 a second, p99",
        "ms",
        lambda figures: _latency(figures, "hordelink", "p99"),
        lambda figures: _latency(figures, "peer", "p99"),
        "peer",
        2,
        at_least=False,
    ),
    Target(
        "storing, at the batch that the burst reached",
        "rows a second",
        lambda figures: _stored(figures, "hordelink"),
        lambda figures: _stored(figures, "floor"),
        "SQLite's own group commit",
        0.5,
        at_least=True,
    ),
    Target(
        "Listener, spawn to Ready",
        "ms",
        lambda figures: figures.median("restart", "hordelink", "Listener, spawn to Ready"),
        lambda figures: figures.median("spawn", "floor", "spawn to exit, median", program="static"),
        "a static C program, spawn to exit",
        3,
        at_least=False,
    ),
    Target(
        "Listener's own memory (Anonymous), 200 running",
        "KiB",
        lambda figures: figures.median("memory", "hordelink", "Listener, anonymous", jobs=200),
        None,
        "",
        512,
        at_least=False,
    ),
    Target(
        "all roles idle, resident",
        "KiB",
        lambda figures: figures.median("memory", "hordelink", "all roles, resident", jobs=0),
        None,
        "",
        40 * KIB_OF_MEGABYTE,
        at_least=False,
    ),
    Target(
        "time of an update behind a backlog of 1,000,000",
        "µs",
        lambda figures: figures.median("cost", "hordelink", "time an update", backlog=1_000_000),
        lambda figures: figures.median("cost", "hordelink", "time an update", backlog=0),
        "behind none",
        1.3,
        at_least=False,
    ),
]
