"""The job that checks or imports a large file."""

from pkgutil import resolve_name

from opportune.i18n import gettext_lazy as _l
from opportune.jobs import JobContext, job

PACKAGE = "opportune.contrib.import_export"
"""Its modules load the admin, which only processes with such jobs need."""
FAILED = _l("The import failed because of an error of this site. Nothing was stored.")
CANCELLED = _l("The import was cancelled. Nothing was stored.")

BUSY_STATES = ("checking", "importing")
"""States of a file that a job is working on."""


async def _store_failure(run: JobContext, _error: Exception, file_id: int) -> None:
    await resolve_name(f"{PACKAGE}.import_run:store_failure")(run.database, file_id, FAILED)


@job("import_export.process", attempts=3, on_failure=_store_failure)
async def process_file(run: JobContext, file_id: int) -> None:
    """Check or import a file for its owner."""
    await resolve_name(f"{PACKAGE}.job_site:process_in_site")(run, file_id)
