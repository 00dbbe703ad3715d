"""Background jobs: declared by features, queued in the transaction of a change, and repeated after crashes."""

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
