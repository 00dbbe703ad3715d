"""Background work of a feature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from opportune.errors.option_names import strict


@strict
@dataclass(frozen=True)
class Cleanup:
    """Rows that a daily job deletes in batches: `Cleanup(Loan, lambda _: col(Loan.expires_at) <= utc_now())`."""

    model: type[Any]
    condition: Callable[[Any], Any]
    """Return the condition of the rows to delete, from the site's settings. None keeps all rows."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Set these values instead of deleting the rows. A row that has them must no longer match."""


def _require_call(call: Any) -> Any:
    if not hasattr(call, "arguments"):
        raise ValueError("needs calls of jobs, such as summarise()")
    return call


@strict
@dataclass(frozen=True)
class Jobs:
    """Jobs of a feature, and old rows that a job deletes."""

    definitions: Sequence[Any] = ()
    """Background and scheduled jobs. A job that is not listed cannot be queued."""
    _: KW_ONLY
    first: Sequence[Annotated[Any, AfterValidator(_require_call)]] = ()
    """Calls of jobs that quickstart queues for a new site."""
    cleanups: Sequence[Cleanup] = ()
    """Old rows that the job `jobs.clean_up` deletes each day (oppman.py docs databases)."""
