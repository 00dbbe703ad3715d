"""Background jobs: declared by features, queued in the transaction of a change, and repeated after crashes."""

from opportune.jobs.command import run_command
from opportune.jobs.declaration import (
    JobCall,
    JobContext,
    JobDefinition,
    JobQueue,
    PermanentFailure,
    RetryLater,
    defer,
    job,
)
from opportune.jobs.stored_files import delete_files

__all__ = [
    "JobCall",
    "JobContext",
    "JobDefinition",
    "JobQueue",
    "PermanentFailure",
    "RetryLater",
    "defer",
    "delete_files",
    "job",
    "run_command",
]
