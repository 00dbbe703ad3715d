"""Checks or imports a file for its owner in a job, which loads the whole admin."""

import logging
from typing import Any

from opportune.accounts.models import User
from opportune.admin.current_request import use_request
from opportune.admin.models import ImportFile
from opportune.contrib.import_export.import_run import process
from opportune.contrib.import_export.jobs import BUSY_STATES
from opportune.contrib.job_admin import open_site, request_of
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.jobs import JobContext, PermanentFailure

logger = logging.getLogger(__name__)


async def process_in_site(run: JobContext, file_id: int) -> None:
    """Check or import the file."""
    async with run.database.reader(fresh=True) as session:
        file = await session.get(ImportFile, file_id)
        user = await session.get(User, file.owner_id) if file else None
    if file is None or user is None or file.state not in BUSY_STATES:
        return  # another attempt has finished it
    site = await open_site(run)
    view: Any = site.find_view(file.identity)
    request = await request_of(site, user, f"{file.identity}/import", method="POST")
    with changes_come_from(ChangeOrigin("admin", request.scope)), use_request(request):
        try:
            await process(request, view, file)
        except Exception as error:
            logger.exception("import of %s", file.name)
            raise PermanentFailure(f"{type(error).__name__}: {error}") from error
        await site.extensions.rows_changed(request, {file.identity})
