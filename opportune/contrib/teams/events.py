"""What happens to somebody in teams, on the page of what happened to their account."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.events.kinds import EventKind, add_event_kind
from opportune.accounts.models import AccountEvent, User

for name, words in (
    ("team_created", "You made the team {team}"),
    ("team_joined", "You joined the team {team}"),
    ("team_left", "You left the team {team}"),
    ("team_deleted", "You deleted the team {team}"),
    ("team_handed_over", "You handed the team {team} over to {owner}"),
    ("team_received", "{by} handed the team {team} over to you"),
    ("team_role_changed", "{by} made you {role} of the team {team}"),
    ("team_removed", "{by} removed you from the team {team}"),
):
    add_event_kind(EventKind(name, words, icon="ti-users-group"))


def record_of_member(session: AsyncSession, user_id: int, kind: str, by: User, **details: Any) -> None:
    """Write down what another member did to somebody, and not from where: that is the other's own."""
    told = {"by": by.get_short_name() or by.email, **details}
    session.add(AccountEvent(user_id=user_id, kind=kind, details=told))
