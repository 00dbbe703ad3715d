"""The job that checks or imports a large file."""

from pkgutil import resolve_name

from opportune.jobs import JobContext, job

PROCESS = "opportune.contrib.import_export.job_site:process_in_site"
"""The function that loads the admin, which only processes with such jobs need."""

BUSY_STATES = ("checking", "importing")
"""States of a file that a job is working on."""
MAX_ATTEMPTS = 3


@job("import_export.process", attempts=MAX_ATTEMPTS + 1)
async def process_file(run: JobContext, file_id: int) -> None:
    """Check or import a file for its owner. The attempt after the last one stores that it failed."""
    await resolve_name(PROCESS)(run, file_id)
