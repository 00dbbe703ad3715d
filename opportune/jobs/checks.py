"""Production checks of the job settings."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from opportune.config.hosts import current_host
from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.feature import Finding
from opportune.jobs.declaration import JobDefinition
from opportune.jobs.schedules import next_run_time
from opportune.project.current import OPPMAN

SAMPLED_RUNS = 10
"""Future runs of a job that are compared to find its shortest interval."""


def check_jobs(settings: Settings) -> Iterator[Finding]:
    if settings.jobs == "inline":
        yield from _check_inline_jobs()
    elif settings.jobs == "request":
        yield from _check_cron_service(settings)


def _check_inline_jobs() -> Iterator[Finding]:
    host = current_host()
    if host and not host.runs_between_requests:
        yield Finding.warning(
            f"{host.title} runs nothing between requests, so jobs and answers would be interrupted. Set "
            "JOBS=request (oppman.py docs free-tiers), unless your plan keeps the process running."
        )


def _check_cron_service(settings: Settings) -> Iterator[Finding]:
    if not settings.base_url:
        yield Finding("JOBS is request and BASE_URL is empty, so the cron service cannot call the site. Set BASE_URL.")
    if not settings.jobs_call_minutes:
        yield Finding.warning(
            "JOBS is request and JOBS_CALL_MINUTES is 0, so jobs and e-mails wait for the next visitor. "
            f"Let a cron service call the address that `{OPPMAN} jobs url` shows."
        )


def find_invalid_schedules(settings: Settings, jobs: Sequence[JobDefinition[Any]]) -> Iterator[Finding]:
    """Report jobs whose schedule is not valid."""
    for job in jobs:
        try:
            if schedule := job.schedule_in(settings):
                next_run_time(schedule, utc_now())
        except OperatorError as error:
            yield Finding(f"The job {job.name}: {error}")


def check_schedules(settings: Settings, jobs: Sequence[JobDefinition[Any]]) -> Iterator[Finding]:
    """Report jobs that are scheduled more often than the cron service calls."""
    if settings.jobs != "request":
        return
    for job in jobs:
        minutes = _shortest_interval_minutes(job, settings)
        if minutes is not None and minutes < settings.jobs_call_minutes:
            yield Finding.warning(
                f"The job {job.name} is scheduled every {minutes:g} minutes, but the cron service calls every "
                f"{settings.jobs_call_minutes} minutes (JOBS_CALL_MINUTES), so it runs less often."
            )


def _shortest_interval_minutes(job: JobDefinition[Any], settings: Settings) -> float | None:
    """Return the shortest interval between the next runs of a job; None if it has no valid schedule."""
    with suppress(OperatorError):  # reported by `find_invalid_schedules`
        if schedule := job.schedule_in(settings):
            times = [next_run_time(schedule, utc_now())]
            while len(times) <= SAMPLED_RUNS:
                times.append(next_run_time(schedule, times[-1]))
            return min(later - earlier for earlier, later in pairwise(times)).total_seconds() / 60
    return None
