"""The e-mails of teams."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import email_is_enabled
from opportune.accounts.models import User
from opportune.mail import enqueue_email, render_email
from opportune.settings import Settings
from opportune.teams.models import Team


def send_invitation_email(session: AsyncSession, settings: Settings, to: str, team: Team, by: User, token: str) -> None:
    _send(session, settings, to, "invitation", team=team.name, by=by.get_short_name() or by.email, token=token)


def send_handed_over_email(session: AsyncSession, settings: Settings, to: User, team: Team, by: User) -> None:
    _send(session, settings, to.email, "handed_over", team=team, by=by.get_short_name() or by.email)


def _send(session: AsyncSession, settings: Settings, to: str, template: str, **context: object) -> None:
    if email_is_enabled(settings):
        enqueue_email(session, render_email(settings, to, f"teams/mail/{template}", context))
