"""Tables of jobs that wait, run or have ended, and of the steps that each has done."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, Text
from sqlmodel import Field

from opportune.db.models.model import Model, ModelBase, utc_now


class JobState(StrEnum):
    """State of a job: it WAITS until due and RUNS; then it waits again, or has ended in one of the others."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job(Model, table=True):
    """A queued job: what it is to do, when, and how far it is."""

    __tablename__ = "jobs_job"
    __table_args__ = (Index("ix_jobs_job_due", "state", "due_at"),)

    state: JobState = Field(default=JobState.WAITING, sa_type=Text)
    name: str = Field(max_length=200)
    arguments: list[Any] = Field(default_factory=list)
    key: str | None = Field(default=None, max_length=500, unique=True)
    """Who queues the same again finds this one."""
    attempt: int = 0
    """Attempts so far, with the one that runs."""
    due_at: datetime = Field(default_factory=utc_now)
    created_at: datetime = Field(default_factory=utc_now)
    started_at: datetime | None = None
    """The last attempt's."""
    ended_at: datetime | None = None
    claim: str | None = Field(default=None, max_length=32)
    """The attempt that runs: who does not know it can change nothing."""
    lease_until: datetime | None = None
    """When to take its process for dead, unless that has renewed this."""
    cancel_asked: bool = False
    done: int = 0
    total: int = 0
    note: str = Field(default="", max_length=200)
    error: str = Field(default="", max_length=500)
    """One line on why the last attempt failed."""
    traceparent: str | None = Field(default=None, max_length=55)
    """The trace of what has queued it, as a W3C header; None where it belongs to none."""

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def progress(self) -> str:
        """How far it is: `3 of 10: thumbnails`, or nothing."""
        counted = f"{self.done} of {self.total}" if self.total else ""
        return ": ".join(filter(None, (counted, self.note)))

    @property
    def remark(self) -> str:
        """Why it failed last, or else how far it is."""
        return self.error or self.progress


class LastRun(ModelBase, table=True):
    """How a job that has a schedule went last, well and badly: its own rows are forgotten before long."""

    __tablename__ = "jobs_last_run"

    name: str = Field(max_length=200, primary_key=True)
    """The job's."""
    succeeded_at: datetime | None = None
    note: str = Field(default="", max_length=200)
    """What it said of itself at the end, when it went well."""
    failed_at: datetime | None = None
    error: str = Field(default="", max_length=500)
    """One line on why it failed last."""
    reported_at: datetime | None = None
    """When somebody was told of a failure."""

    @property
    def is_failing(self) -> bool:
        """Whether it failed after it went well."""
        return self.failed_at is not None and (self.succeeded_at is None or self.failed_at > self.succeeded_at)

    @property
    def is_reported(self) -> bool:
        """Whether somebody was told since it went well."""
        return self.reported_at is not None and (self.succeeded_at is None or self.reported_at > self.succeeded_at)


class JobStep(ModelBase, table=True):
    """Result of a `run.write`, stored in the transaction of its effect, so there are both or neither."""

    __tablename__ = "jobs_step"

    job_id: int = Field(foreign_key="jobs_job.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)
    """1 for the first that the job asks for."""
    result: Any = None
