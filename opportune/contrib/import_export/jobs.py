"""The job that checks or imports a large file."""

from pkgutil import resolve_name

from opportune.jobs import JobContext, job

JOB_SITE = "opportune.contrib.import_export.job_site"
"""The module that loads the admin, which only processes with such jobs need."""

BUSY_STATES = ("checking", "importing")
"""States of a file that a job is working on."""


async def _store_failure(run: JobContext, _error: Exception, file_id: int) -> None:
    await resolve_name(f"{JOB_SITE}:store_failure")(run, file_id)


@job("import_export.process", attempts=3, on_failure=_store_failure)
async def process_file(run: JobContext, file_id: int) -> None:
    """Check or import a file for its owner."""
    await resolve_name(f"{JOB_SITE}:process_in_site")(run, file_id)
