"""Inviting somebody by e-mail, counted: nobody fills a stranger's mailbox."""

from opportune.accounts.context import AccountContext
from opportune.accounts.emails import count_email
from opportune.accounts.models import User
from opportune.teams.emails import send_invitation_email
from opportune.teams.invitations import INVITATIONS_PER_TEAM, INVITATIONS_PER_USER, invite
from opportune.teams.models import TeamInvitation
from opportune.teams.schemas import InvitationCreate


async def invite_by_email(context: AccountContext, team_id: int, user: User, new: InvitationCreate) -> TeamInvitation:
    """Invite an address, and write to it.

    Raises:
        NotFound, Forbidden, FieldErrors: as `invite`.
        TooManyRequests: this person, the team or others have asked for too many e-mails, or for too many to there.
    """
    await context.manager.release()
    await context.limiter.hit(INVITATIONS_PER_USER.by(user.id), INVITATIONS_PER_TEAM.by(team_id))
    await count_email(context, new.email)
    team, invitation, token = await invite(context.session, team_id, user, new)
    send_invitation_email(context.session, context.settings, new.email, team, user, token)
    return invitation
