"""Production checks of the job settings."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from opportune.config.hosts import current_host
from opportune.config.settings import Settings
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.feature import Finding
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.schedules import next_run_time

SAMPLED_RUNS = 10
"""Future runs of a job that are compared to find its shortest interval."""


def check_jobs(settings: Settings) -> Iterator[Finding]:
    host = current_host()
    if settings.jobs != "request":
        if settings.jobs == "inline" and host and not host.runs_between_requests:
            yield Finding(
                f"{host.title} runs nothing between requests, so jobs and answers would be interrupted. Set "
                "JOBS=request (oppman.py docs free-tiers), unless your plan keeps the process running.",
                is_error=False,
            )
        return
    if not settings.base_url:
        yield Finding("JOBS is request and BASE_URL is empty, so the cron service cannot call the site. Set BASE_URL.")
    if not settings.jobs_call_minutes:
        yield Finding(
            "JOBS is request and JOBS_CALL_MINUTES is 0, so jobs and e-mails wait for the next visitor. "
            "Let a cron service call the address that `python3 oppman.py jobs url` shows.",
            is_error=False,
        )


def check_schedules(settings: Settings, jobs: Sequence[JobDefinition[Any]]) -> Iterator[Finding]:
    """Report jobs that are scheduled more often than the cron service calls."""
    for name, minutes in _shortest_run_intervals(settings, jobs) if settings.jobs == "request" else ():
        if 0 < minutes < settings.jobs_call_minutes:
            yield Finding(
                f"The job {name} is scheduled every {minutes:g} minutes, but the cron service calls every "
                f"{settings.jobs_call_minutes} minutes (JOBS_CALL_MINUTES), so it runs less often.",
                is_error=False,
            )


def _shortest_run_intervals(settings: Settings, jobs: Sequence[JobDefinition[Any]]) -> Iterator[tuple[str, float]]:
    """Yield the name of each scheduled job and the shortest interval between its next runs, in minutes."""
    for job in jobs:
        with suppress(OperatorError):  # the worker reports an invalid schedule
            if schedule := job.schedule_in(settings):
                times = [next_run_time(schedule, utc_now())]
                while len(times) <= SAMPLED_RUNS:
                    times.append(next_run_time(schedule, times[-1]))
                yield job.name, min((later - earlier).total_seconds() / 60 for earlier, later in pairwise(times))
