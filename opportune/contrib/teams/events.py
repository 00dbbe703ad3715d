"""Account events of teams."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.events.kinds import EventKind
from opportune.accounts.models import AccountEvent, User
from opportune.i18n import gettext_lazy as _l

EVENTS = [
    EventKind(name, text, icon="ti-users-group")
    for name, text in (
        ("team_created", _l("You created the team {team}")),
        ("team_joined", _l("You joined the team {team}")),
        ("team_left", _l("You left the team {team}")),
        ("team_deleted", _l("You deleted the team {team}")),
        ("team_handed_over", _l("You handed the team {team} over to {owner}")),
        ("team_received", _l("{by} handed the team {team} over to you")),
        ("team_role_changed", _l("{by} changed your role in the team {team} to {role}")),
        ("team_removed", _l("{by} removed you from the team {team}")),
    )
]


def record_for_member(session: AsyncSession, user_id: int, kind: str, by: User, **details: Any) -> None:
    """Record an action of another member, without that member's address and browser."""
    details = {"by": by.get_short_name() or by.email, **details}
    session.add(AccountEvent(user_id=user_id, kind=kind, details=details))
