"""What can go wrong when something is reported to hordelink."""

from __future__ import annotations


class HordelinkError(Exception):
    """Something was not reported. Each kind says what happened, to what, and what to do."""


class NotConfigured(HordelinkError):
    """Which job is meant, or where its socket is, is neither given nor in the environment. Nothing was sent."""


class Closed(HordelinkError):
    """The channel was closed by this program before the answer came, or before this was sent."""


class Refused(HordelinkError):
    """It is not stored and, as it is, never will be.

    ``code`` says why in a word, ``message`` in a sentence, ``subject`` what it is about:

    - ``invalid``: a field is missing or wrong; the message names it.
    - ``wrong_job``: the update is about another job than the socket's, or about no UUID.
    - ``job_closed``: the job has its terminal status (raised as `JobClosed`).
    - ``too_large``: the message is above the service's ``max_frame_bytes``, or above what any service takes.
    - ``malformed``: the service cannot read what was sent.

    A later release may have further codes.
    """

    def __init__(self, code: str, message: str, subject: str = "the message") -> None:
        """Keep all three as arguments, so that the error can be pickled, as Celery does."""
        super().__init__(code, message, subject)
        self.code = code
        self.message = message
        self.subject = subject

    def __str__(self) -> str:
        return f"{self.subject} is refused ({self.code}): {self.message}"


class JobClosed(Refused):
    """The job has its terminal status: nothing new is taken. The status that it ended with can be sent again."""


class Unreachable(HordelinkError):
    """No answer came in time, or the socket can never be reached as it is.

    Its cause is the last `OSError`, if there was one. Whether the message is stored is unknown: to send it again does
    no harm, since a status that is there already is acknowledged and counts once.
    """


class ProtocolError(HordelinkError):
    """What answers on that socket does not speak the worker's protocol."""


def refusal(code: str, message: str, subject: str) -> Refused:
    """The error for that code."""
    return (JobClosed if code == "job_closed" else Refused)(code, message, subject)
