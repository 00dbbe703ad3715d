"""E-mails of teams. Invitations have rate limits per user, team and recipient."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import email_is_enabled
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext
from opportune.config.settings import Settings
from opportune.contrib.teams.invitations import INVITATIONS_PER_TEAM, INVITATIONS_PER_USER, invite
from opportune.contrib.teams.models import Team, TeamInvitation
from opportune.contrib.teams.schemas import InvitationCreate
from opportune.mail import enqueue_email, render_email


async def invite_by_email(context: AccountContext, team_id: int, user: User, new: InvitationCreate) -> TeamInvitation:
    """Create an invitation and send it.

    Raises:
        NotFound, Forbidden, FieldErrors: See `invite`.
        TooManyRequests: A rate limit of the user, the team or the recipient is exceeded.
    """
    await context.manager.release()
    await context.limiter.hit(INVITATIONS_PER_USER.by(user.id), INVITATIONS_PER_TEAM.by(team_id))
    await context.count_email(new.email)
    team, invitation, token = await invite(context.session, team_id, user, new)
    _send(context.session, context.settings, new.email, "", "invitation", user, team=team.name, token=token)
    return invitation


def send_handed_over_email(session: AsyncSession, settings: Settings, to: User, team: Team, by: User) -> None:
    _send(session, settings, to.email, to.language, "handed_over", by, team=team)


def _send(
    session: AsyncSession, settings: Settings, to: str, language: str, template: str, by: User, **context: object
) -> None:
    if email_is_enabled(settings):
        context["by"] = by.get_short_name() or by.email
        enqueue_email(session, render_email(settings, to, f"teams/mail/{template}", context, language=language))
