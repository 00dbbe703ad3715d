"""List, show, retry or cancel jobs, pause queues, or print the URL for a cron service."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer

from opportune.cli.options import AsJson
from opportune.cli.output import print_json, print_table, say
from opportune.cli.terminal import printable
from opportune.cli.transaction import in_transaction, with_jobs
from opportune.config.settings import get_settings
from opportune.errors import OperatorError
from opportune.features.core import all_features
from opportune.jobs import management
from opportune.jobs.limits import ALL_QUEUES
from opportune.jobs.models import Job, JobState
from opportune.jobs.requests import run_url
from opportune.jobs.service import declared_jobs
from opportune.plurals import pluralize
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_features
from opportune.schemas.masks import mask_json

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
        known_names = _declared("name")
        rows = (_as_row(job, known_names) for job in jobs)
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
        print(f"{label:10}", "\n".join(map(printable, str(value).splitlines())))


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
        count = with_jobs(lambda jobs, session: jobs.retry_failed(session, name))
        jobs = f"named {name} " if name else ""
        say(f"{pluralize(count, 'job')} {jobs}queued again." if count else f"No job {jobs}failed.")
        return
    with_jobs(lambda jobs, session: jobs.retry(session, number))
    job = in_transaction(lambda session: management.find_job(session, number))
    say(f"Job {number} is {job.state}.{_processing_note(job)}")


@command.command()
def cancel(number: Number) -> None:
    """Cancel a waiting job, or a running job at its next step."""
    with_jobs(lambda jobs, session: jobs.cancel(session, number))
    job = in_transaction(lambda session: management.find_job(session, number))
    state = "will stop at its next step" if job.state == JobState.RUNNING else f"is {job.state}"
    say(f"Job {number} {state}.")


@command.command()
def queues(as_json: AsJson = False) -> None:
    """Show the queues with their numbers of jobs, limits and pauses."""
    states = in_transaction(lambda session: management.read_queues(session, _declared("queue")))
    limits = get_settings().jobs_limits
    if as_json:
        print_json([{**asdict(state), "limit": limits.get(state.name)} for state in states])
        return
    rows = (
        (state.name, state.held, state.waiting, state.running, limits.get(state.name, "-"), _queue_note(state))
        for state in states
    )
    numbers = ("HELD", "WAITING", "RUNNING", "LIMIT")
    print_table(("QUEUE", *numbers, "NOTE"), rows, right=numbers)
    if ALL_QUEUES in limits:
        say(f"All queues together run at most {pluralize(limits[ALL_QUEUES], 'job')} at a time (JOBS_LIMITS).")


def _queue_note(state: management.QueueState) -> str:
    if state.paused_at:
        return f"paused since {_timestamp(state.paused_at)}"
    return f"first due {_timestamp(state.oldest_due_at)}" if state.oldest_due_at else ""


Queue = Annotated[str, typer.Argument(help="Name of the queue.", show_default=False)]


@command.command()
def pause(
    queue: Queue,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until its running jobs have ended.")] = 0,
) -> None:
    """Start no further job of a queue. Running jobs continue."""
    _check_queue(queue)
    in_transaction(lambda session: management.pause(session, queue))
    running = _wait_for_running(queue, wait)
    say(f"The queue {queue} is paused. {pluralize(running, 'job')} still running.")


@command.command()
def resume(queue: Queue) -> None:
    """Start jobs of a paused queue again."""
    _check_queue(queue)
    was_paused = in_transaction(lambda session: management.resume(session, queue))
    say(f"The queue {queue} continues." if was_paused else f"The queue {queue} was not paused.")


def _wait_for_running(queue: str, seconds: float) -> int:
    """Wait until no job of a queue runs, at most `seconds`. Return the number of running jobs."""
    deadline = time.monotonic() + seconds
    while (running := in_transaction(partial(management.count_running, queue=queue))) and time.monotonic() < deadline:
        time.sleep(min(0.5, seconds))
    return running


def _check_queue(queue: str) -> None:
    if queue not in (names := _declared("queue")):
        raise OperatorError(f"There is no queue {queue}. The queues are: {', '.join(sorted(names))}.")


def _declared(option: str) -> set[str]:
    """Return the values of an option of all jobs."""
    return {getattr(job, option) for job in declared_jobs(all_features(installed_features()))}


@command.command()
def url() -> None:
    """Print the URL that a cron service calls if JOBS=request. Keep it secret, because it starts due jobs."""
    print(run_url(get_settings()))


def _as_row(job: Job, known_names: set[str]) -> Sequence[object]:
    due_at = _timestamp(job.due_at) if job.state == JobState.WAITING else ""
    remark = _unknown_job_note(job, known_names) or job.remark
    return job.id, job.state, _timestamp(job.created_at), due_at, job.name, remark


def _as_data(job: Job) -> dict[str, Any]:
    names = ("id", "name", "state", "attempt", "key", "progress", "error")
    times = ("created_at", "due_at", "started_at", "ended_at")
    data = {name: getattr(job, name) for name in (*names, *times)}
    return {**data, "arguments": mask_json(job.arguments)}


def _details(job: Job) -> Iterator[tuple[str, object]]:
    yield "Job", f"{job.id}: {job.name}"
    yield "State", job.state
    yield "Arguments", job.shown_arguments or "none"
    yield "Attempts", job.attempt
    times = {"Queued": job.created_at, "Due": job.due_at, "Started": job.started_at, "Ended": job.ended_at}
    yield from ((label, _timestamp(time)) for label, time in times.items() if time)
    note = _unknown_job_note(job, _declared("name"))
    optional = {"Key": job.key, "Progress": job.progress, "Error": job.error, "Note": note}
    yield from ((label, text) for label, text in optional.items() if text)


def _timestamp(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


def _unknown_job_note(job: Job, known_names: set[str]) -> str:
    is_unknown = job.state == JobState.WAITING and job.name not in known_names
    return "waiting, because no installed feature has this job" if is_unknown else ""


def _processing_note(job: Job) -> str:
    notes = {"worker": f" Run it with a worker: {OPPMAN} worker", "off": " It waits, because JOBS is off."}
    return notes.get(get_settings().jobs, "") if job.state == JobState.WAITING else ""
