"""The e-mails of teams, counted where somebody else's words send them: nobody fills a stranger's mailbox."""

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
    """Invite an address, and write to it.

    Raises:
        NotFound, Forbidden, FieldErrors: as `invite`.
        TooManyRequests: this person, the team or others have asked for too many e-mails, or for too many to there.
    """
    await context.manager.release()
    await context.limiter.hit(INVITATIONS_PER_USER.by(user.id), INVITATIONS_PER_TEAM.by(team_id))
    await context.count_email(new.email)
    team, invitation, token = await invite(context.session, team_id, user, new)
    told = {"team": team.name, "by": _name_of(user), "token": token}
    _send(context.session, context.settings, new.email, "invitation", **told)
    return invitation


def send_handed_over_email(session: AsyncSession, settings: Settings, to: User, team: Team, by: User) -> None:
    _send(session, settings, to.email, "handed_over", team=team, by=_name_of(by))


def _send(session: AsyncSession, settings: Settings, to: str, template: str, **context: object) -> None:
    if email_is_enabled(settings):
        enqueue_email(session, render_email(settings, to, f"teams/mail/{template}", context))


def _name_of(user: User) -> str:
    return user.get_short_name() or user.email
