"""Failed attempts of jobs: delay until the next one, and description of the error."""

from typing import Any

from opportune.errors import OperatorError
from opportune.jobs import JobDefinition, PermanentFailure, RetryLater

MAX_RETRY_DELAY_SECONDS = 3600.0
"""Maximum delay between two attempts."""
SELF_EXPLANATORY_ERRORS = (OperatorError, PermanentFailure, RetryLater)
"""Errors whose message is enough without type and traceback."""


def retry_delay(job: JobDefinition[Any], attempt: int, error: Exception | None = None) -> float:
    """Return the seconds until the next attempt."""
    requested = error.seconds if isinstance(error, RetryLater) else 0.0
    return min(max(job.wait * 2.0 ** min(attempt - 1, 30), requested), MAX_RETRY_DELAY_SECONDS)


def error_summary(error: Exception) -> str:
    """Describe an error in one printable line."""
    lines = str(error).strip().splitlines()
    name = "" if isinstance(error, SELF_EXPLANATORY_ERRORS) else type(error).__name__
    summary = ": ".join(filter(None, (name, lines[0] if lines else "")))[:500]
    return "".join(char if char.isprintable() else " " for char in summary).strip()


def traced_error(error: Exception) -> Exception | None:
    """Return the error if its traceback belongs in the log."""
    return None if isinstance(error, SELF_EXPLANATORY_ERRORS) else error
