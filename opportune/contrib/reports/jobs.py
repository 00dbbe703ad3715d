"""Jobs that send reports by e-mail to their owners."""

from datetime import date, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.admin.models import SavedView
from opportune.db.clock import utc_now
from opportune.jobs import JobContext, defer, job


@job("reports.send_due", schedule="12 5 * * *")
async def send_due_reports(run: JobContext) -> None:
    """Queue the reports whose day, week or month has begun since the last e-mail."""
    await run.write(_queue_due, utc_now().date())


async def _queue_due(session: AsyncSession, today: date) -> None:
    for view_id in (await session.scalars(select(col(SavedView.id)).where(_is_due(today)))).all():
        defer(session, send_report(view_id))
    await session.execute(update(SavedView).where(_is_due(today)).values(sent_on=today))


def _is_due(today: date) -> ColumnElement[bool]:
    begins = {"daily": today, "weekly": today - timedelta(today.weekday()), "monthly": today.replace(day=1)}
    pairs = (
        and_(col(SavedView.schedule) == schedule, col(SavedView.sent_on) < first_day)
        for schedule, first_day in begins.items()
    )
    return or_(*pairs)


@job("reports.send", attempts=3)
async def send_report(run: JobContext, view_id: int) -> None:
    """Send a report to its owner, with the rows that the owner may see now."""
    # Only processes that send reports load the admin.
    from opportune.contrib.reports.emails import send

    await send(run, view_id)
