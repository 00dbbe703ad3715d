"""Tables of jobs, their recorded steps, paused queues, and the last runs of scheduled jobs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ColumnElement, SmallInteger, Text, case, literal_column
from sqlmodel import Field, col

from opportune.db.clock import utc_now
from opportune.db.models.model import Model, ModelBase
from opportune.db.models.partial_index import PartialIndex
from opportune.i18n import gettext
from opportune.jobs.declaration import DEFAULT_QUEUE
from opportune.jobs.queue import MAX_GROUP_LENGTH, MAX_KEY_LENGTH
from opportune.schemas.masks import mask_pairs, mask_tokens
from opportune.schemas.text import shorten

MAX_ARGUMENT_LENGTH = 500


class JobState(StrEnum):
    """State of a job. After a failed attempt, the job is waiting until no attempt is left; then it has failed."""

    HELD = "held"
    """Waits until fewer jobs of its group are waiting or running."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED_STATES = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


ACTIVE = "state IN ('waiting', 'running')"
"""SQL condition of jobs that count towards the limit of their group."""
SCHEDULED = f"key LIKE 'schedule:%' AND {ACTIVE}"
"""SQL condition of waiting and running jobs that a schedule has queued."""


class Job(Model, table=True):
    """A queued, running or ended job."""

    __tablename__ = "jobs_job"
    __table_args__ = (
        PartialIndex("ix_jobs_job_claim", "queue", "priority", "due_at", "id", where="state = 'waiting'"),
        # For claims if many jobs that are due later sort before due ones.
        PartialIndex("ix_jobs_job_due", "due_at", where="state = 'waiting'"),
        # For outages of a mail server.
        PartialIndex("ix_jobs_job_retried", "name", "created_at", where="state = 'waiting' AND attempt > 0"),
        PartialIndex("ix_jobs_job_held", "group_name", "due_at", "id", where="state = 'held'"),
        PartialIndex("ix_jobs_job_held_due", "due_at", where="state = 'held'"),
        PartialIndex("ix_jobs_job_group", "group_name", where=f"group_name IS NOT NULL AND {ACTIVE}"),
        PartialIndex("ix_jobs_job_lease", "lease_until", where="state = 'running'"),
        PartialIndex("ix_jobs_job_scheduled", "name", where=SCHEDULED),
        PartialIndex("ix_jobs_job_ended", "state", "ended_at", where="ended_at IS NOT NULL"),
    )

    state: JobState = Field(default=JobState.WAITING, sa_type=Text)
    name: str = Field(max_length=200)
    # The default type for lists cannot load a row with other JSON, which would stop each claim.
    arguments: list[Any] = Field(default_factory=list, sa_type=JSON)
    queue: str = Field(default=DEFAULT_QUEUE, max_length=50, sa_column_kwargs={"server_default": DEFAULT_QUEUE})
    priority: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": "0"})
    """Jobs with a lower number run first."""
    group_name: str | None = Field(default=None, max_length=MAX_GROUP_LENGTH)
    """Group whose jobs share a limit."""
    group_limit: int = Field(default=1, sa_type=SmallInteger, sa_column_kwargs={"server_default": "1"})
    """Maximum number of jobs of the group that wait or run at a time."""
    key: str | None = Field(default=None, max_length=MAX_KEY_LENGTH, unique=True)
    """Unique key of the caller. Queueing a job with the same key returns this one."""
    attempt: int = 0
    """Number of attempts, including the running one."""
    due_at: datetime = Field(default_factory=utc_now)
    created_at: datetime = Field(default_factory=utc_now)
    started_at: datetime | None = None
    """Start of the last attempt."""
    ended_at: datetime | None = None
    claim: str | None = Field(default=None, max_length=32)
    """Id of the running attempt. Only a worker with this id may change the row."""
    lease_until: datetime | None = None
    """Time at which another worker may take over, unless the lease is renewed."""
    cancel_asked: bool = False
    """Whether a user has requested to cancel the running job."""
    done: int = 0
    total: int = 0
    note: str = Field(default="", max_length=200)
    error: str = Field(default="", max_length=500)
    """Error of the last attempt, in one line."""
    traceparent: str | None = Field(default=None, max_length=55)
    """W3C header of the trace in which it was queued."""

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def progress(self) -> str:
        """Progress such as `3 of 10: thumbnails`; may be empty."""
        items = gettext("%(number)s of %(total)s", number=self.done, total=self.total) if self.total else ""
        return ": ".join(filter(None, (items, self.note)))

    @property
    def shown_arguments(self) -> str:
        """The arguments in one line. Long ones, such as an e-mail with files, are cut. Links in e-mails have tokens."""
        arguments = self.arguments if type(self.arguments) is list else [self.arguments]
        return ", ".join(map(_show_argument, arguments))

    @property
    def remark(self) -> str:
        """Error of the last attempt, or the progress if there is none."""
        return self.error or self.progress


def _show_argument(argument: object) -> str:
    text = repr(argument)[: 2 * MAX_ARGUMENT_LENGTH]  # masked before it is cut at a secret
    return shorten(text if isinstance(argument, int | float) else mask_tokens(mask_pairs(text)), MAX_ARGUMENT_LENGTH)


@dataclass(slots=True, eq=False)
class ClaimedJob:
    """A job that a worker has claimed, with the columns that it needs. Loading model instances would take longer."""

    id: int
    name: str
    arguments: Any
    queue: str
    priority: int
    group_name: str | None
    attempt: int
    due_at: datetime
    claim: str
    cancel_asked: bool
    note: str
    traceparent: str | None

    def __str__(self) -> str:
        return f"{self.name} {self.id}"


# Literals, because a generic plan of PostgreSQL uses no partial index for a parameter.
IS_HELD = col(Job.state) == literal_column("'held'")
IS_WAITING = col(Job.state) == literal_column("'waiting'")
IS_RETRIED = IS_WAITING & (col(Job.attempt) > literal_column("0"))
IS_RUNNING = col(Job.state) == literal_column("'running'")


def waiting_state() -> ColumnElement[JobState]:
    """Return the state of a job that is queued again."""
    return case((col(Job.group_name).is_not(None), JobState.HELD), else_=JobState.WAITING)


class PausedQueue(ModelBase, table=True):
    """A queue from which no worker claims jobs."""

    __tablename__ = "jobs_paused_queue"

    name: str = Field(max_length=50, primary_key=True)
    paused_at: datetime = Field(default_factory=utc_now)


class LastRun(ModelBase, table=True):
    """Last success and failure of a scheduled job, kept when its jobs_job rows are deleted."""

    __tablename__ = "jobs_last_run"

    name: str = Field(max_length=200, primary_key=True)
    """Name of the job."""
    succeeded_at: datetime | None = None
    note: str = Field(default="", max_length=200)
    """Note about the last success."""
    failed_at: datetime | None = None
    error: str = Field(default="", max_length=500)
    """Error of the last failure, in one line."""
    reported_at: datetime | None = None
    """Time at which a failure was reported to the operator."""

    @property
    def is_failing(self) -> bool:
        return self.failed_at is not None and (self.succeeded_at is None or self.failed_at > self.succeeded_at)

    @property
    def is_reported(self) -> bool:
        """Whether a failure was reported since the last success."""
        return self.reported_at is not None and (self.succeeded_at is None or self.reported_at > self.succeeded_at)


class JobStep(ModelBase, table=True):
    """Result of a `run.write`, stored in the transaction of the step."""

    __tablename__ = "jobs_step"

    job_id: int = Field(foreign_key="jobs_job.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)
    """Number of the step, from 1."""
    result: Any = None
