"""E-mails to ADMIN_EMAIL about scheduled jobs that fail or are late."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.errors import OperatorError
from opportune.jobs.models import LastRun
from opportune.mail.addresses import InvalidEmailError
from opportune.mail.delivery import enqueue_email
from opportune.mail.email import render_email

logger = logging.getLogger(__name__)


def report_runs(
    session: AsyncSession, settings: Settings, runs: Sequence[LastRun], template: str, context: Mapping[str, Any]
) -> None:
    """E-mail ADMIN_EMAIL about these runs, and mark them as reported until their next success."""
    if not runs or not settings.admin_email:
        return
    try:
        enqueue_email(session, render_email(settings, settings.admin_email, template, context))
    except (InvalidEmailError, OperatorError) as error:
        logger.warning("The e-mail to ADMIN_EMAIL cannot be sent. %s", error)
        return
    for run in runs:
        run.reported_at = utc_now()
        session.add(run)
