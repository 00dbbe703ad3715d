"""The job that checks or imports a large file."""

from opportune.jobs import JobContext, job

BUSY_STATES = ("checking", "importing")
"""States of a file that a job is working on."""
MAX_ATTEMPTS = 3


@job("import_export.process", attempts=MAX_ATTEMPTS + 1)
async def process_file(run: JobContext, file_id: int) -> None:
    """Check or import a file for its owner. The attempt after the last one stores that it failed."""
    # Only processes that import files load the admin.
    from opportune.contrib.import_export.job_site import process_in_site

    await process_in_site(run, file_id)
