"""Work that outlives its request: declared by features, queued with the change that asks for it, safe from crashes."""

from app.core.jobs.job import Call, GiveUp, Job, Run, job
from app.core.jobs.queue import Jobs, defer

__all__ = ["Call", "GiveUp", "Job", "Jobs", "Run", "defer", "job"]
