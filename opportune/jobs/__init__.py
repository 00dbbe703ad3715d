"""Work that outlives its request: declared by features, queued with the change that asks for it, safe from crashes."""

from opportune.jobs.defer import Jobs, defer
from opportune.jobs.job import Call, GiveUp, Job, Run, job

__all__ = ["Call", "GiveUp", "Job", "Jobs", "Run", "defer", "job"]
