"""What the data layer asks of teams. Where a site has them, `opportune.contrib.teams` says here how they are found."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession


class Team(Protocol):
    """The team that somebody is in."""

    @property
    def id(self) -> int: ...

    def has_role(self, role: str) -> bool:
        """Whether they are this in it, or more."""
        ...


class TeamOwners(NamedTuple):
    """Rows that own others, and whose members work with these."""

    find: Callable[[Request, AsyncSession, bool, bool], Awaitable[Team | None]]
    """Finds that of a request, in a session: whether there has to be one, and whether something is to be written."""
    roles: Sequence[str]
    describe: Callable[..., Any]
    """A dependency that tells the API's description how a program names it, and does nothing."""


team_owners: dict[type[Any], TeamOwners] = {}
"""By model."""
