"""Interface to teams that own rows. `opportune.contrib.teams` registers its models here."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession


class Team(Protocol):
    """The current team of a user."""

    @property
    def id(self) -> int: ...

    def has_role(self, role: str) -> bool:
        """Return whether the user has this role or a higher one."""
        ...


class TeamOwners(NamedTuple):
    """Functions and roles of a model of teams, which can own rows of other models."""

    find: Callable[[Request, AsyncSession, bool, bool], Awaitable[Team | None]]
    """Find the team of a request: `find(request, session, is_required, is_writing)`."""
    read_current: Callable[[AsyncSession, Any], Awaitable[Team | None]]
    """Read the team that a user has selected in the browser: `read_current(session, user)`."""
    roles: Sequence[str]
    """Names of the roles that members can have."""
    describe: Callable[..., Any]
    """A dependency without effect that documents the team's header in OpenAPI."""


team_owners: dict[type[Any], TeamOwners] = {}
"""Team owners by the model of the team."""
