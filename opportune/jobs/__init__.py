"""Work that outlives its request: declared by features, queued with the change that asks for it, safe from crashes."""

from opportune.jobs.command import run_command
from opportune.jobs.defer import JobQueue, defer
from opportune.jobs.job import JobCall, JobContext, JobDefinition, PermanentFailure, RetryLater, job

__all__ = [
    "JobCall",
    "JobContext",
    "JobDefinition",
    "JobQueue",
    "PermanentFailure",
    "RetryLater",
    "defer",
    "job",
    "run_command",
]
