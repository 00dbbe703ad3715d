"""List, show, retry or cancel jobs, or print the address for a cron service."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table, say
from opportune.cli.transaction import in_transaction, with_jobs
from opportune.config.project import installed_features
from opportune.config.settings import get_settings
from opportune.features import all_features
from opportune.jobs import management
from opportune.jobs.factory import declared_jobs
from opportune.jobs.models import Job, JobState
from opportune.jobs.requests import run_url
from opportune.runtime.counts import pluralize

command = typer.Typer()

Number = Annotated[int, typer.Argument(help="Number of the job in the list.", show_default=False)]


@command.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="List only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of jobs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    jobs = in_transaction(lambda session: management.newest_jobs(session, state, limit))
    if as_json:
        print_json([_as_data(job) for job in jobs])
    elif jobs:
        rows = ((job.id, job.state, _timestamp(job.created_at), _due_at(job), job.name, _remark(job)) for job in jobs)
        print_table(("ID", "STATE", "QUEUED", "DUE", "JOB", "REMARK"), rows, right=("ID",))
    else:
        say(f"No job is {state}." if state else "There are no jobs.")


@command.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """Show the details of a job."""
    job = in_transaction(lambda session: management.find_job(session, number))
    if as_json:
        print_json(_as_data(job))
        return
    for label, value in _details(job):
        print(f"{label:10} {value}")


@command.command()
def retry(
    number: Annotated[int | None, typer.Argument(help="Number of the job in the list.", show_default=False)] = None,
    retry_all: Annotated[bool, typer.Option("--all", help="Retry all failed jobs.")] = False,
    name: Annotated[str, typer.Option(help="With --all, retry only jobs of this name, such as mail.send.")] = "",
) -> None:
    """Queue a finished job again, or all failed jobs."""
    if retry_all == (number is not None) or (name and not retry_all):
        raise typer.BadParameter("Enter the number of a job, --all, or --all with --name.")
    if number is None:
        _retry_all(name)
        return
    with_jobs(lambda jobs, session: jobs.retry(session, number))
    job = in_transaction(lambda session: management.find_job(session, number))
    say(f"Job {number} is {job.state}.{_processing_note(job)}")


def _retry_all(name: str) -> None:
    count = with_jobs(lambda jobs, session: jobs.retry_failed(session, name))
    jobs = f"named {name} " if name else ""
    say(f"{pluralize(count, 'job')} {jobs}queued again." if count else f"No job {jobs}failed.")


@command.command()
def cancel(number: Number) -> None:
    """Cancel a waiting job, or a running job at its next step."""
    with_jobs(lambda jobs, session: jobs.cancel(session, number))
    job = in_transaction(lambda session: management.find_job(session, number))
    say(
        f"Job {number} will stop at its next step."
        if job.state == JobState.RUNNING
        else f"Job {number} is {job.state}."
    )


@command.command()
def url() -> None:
    """Print the address that a cron service calls if JOBS=request. Keep it secret, because it starts due jobs."""
    print(run_url(get_settings()))


def _as_data(job: Job) -> dict[str, Any]:
    names = ("id", "name", "state", "attempt", "key", "progress", "error", "arguments")
    times = ("created_at", "due_at", "started_at", "ended_at")
    return {name: getattr(job, name) for name in (*names, *times)}


def _details(job: Job) -> Iterator[tuple[str, object]]:
    yield "Job", f"{job.id}: {job.name}"
    yield "State", job.state
    yield "Arguments", ", ".join(map(repr, job.arguments)) or "none"
    yield "Attempts", job.attempt
    times = {"Queued": job.created_at, "Due": job.due_at, "Started": job.started_at, "Ended": job.ended_at}
    yield from ((label, _timestamp(time)) for label, time in times.items() if time)
    optional = {"Key": job.key, "Progress": job.progress, "Error": job.error, "Note": _unknown_job_note(job)}
    yield from ((label, text) for label, text in optional.items() if text)


def _timestamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _due_at(job: Job) -> str:
    return _timestamp(job.due_at) if job.state == JobState.WAITING else ""


def _remark(job: Job) -> str:
    return _unknown_job_note(job) or job.remark


def _unknown_job_note(job: Job) -> str:
    names = {declared.name for declared in declared_jobs(all_features(installed_features()))}
    if job.state != JobState.WAITING or job.name in names:
        return ""
    return "waiting, because no installed feature has this job"


def _processing_note(job: Job) -> str:
    notes = {"worker": " Run it with a worker: python3 oppman.py worker", "off": " It waits, because JOBS is off."}
    return notes.get(get_settings().jobs, "") if job.state == JobState.WAITING else ""
