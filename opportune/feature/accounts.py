"""Users of a feature: their data, groups and profile."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.errors.option_names import strict
from opportune.feature.site import Panel


@strict
@dataclass(frozen=True)
class Person:
    """The user who downloads their data or deletes their account."""

    id: int
    """The user's id."""
    email: str
    """Empty until the user has verified it."""


@strict
@dataclass(frozen=True, kw_only=True)
class PersonalData:
    """Personal data that a feature stores: users can download it, and it is deleted with their account."""

    summary: str
    """A heading for users, such as "Your to-dos"."""
    owners: Sequence[Any] = ()
    """Columns that point at the owner of a row, such as `Review.user_id`."""
    read: Callable[[AsyncSession, Person], Awaitable[Mapping[str, Sequence[Mapping[str, Any]]]]] | None = None
    """Return the user's rows by kind, as JSON values and datetimes, if `owners` does not cover them."""
    files: Callable[[AsyncSession, Person], Awaitable[Sequence[str]]] | None = None
    """Return the names of the user's stored files."""
    refuse: Callable[[AsyncSession, Person], Awaitable[str]] | None = None
    """Return a sentence with the reason why the user cannot leave yet; empty if they can."""
    forget: Callable[[AsyncSession, Person], Awaitable[None]] | None = None
    """Remove data of the user that no cascading foreign key removes with the user's row."""


@strict
@dataclass(frozen=True)
class Accounts:
    """Data and permissions of users."""

    _: KW_ONLY
    personal_data: PersonalData | None = None
    groups: Mapping[str, Mapping[str, str | Sequence[str]]] = field(default_factory=dict)
    """Groups with their permissions, `{"Librarians": {"book": "*", "loan": ["list", "update"]}}`. `migrate` creates
    them; from then on they are edited in the admin."""
    events: Sequence[Any] = ()
    """An `EventKind` for each event that the feature records (oppman.py docs account-events)."""
    profile_panel: Panel | None = None
    """Shown on the user's profile page, below name and address."""
    is_invited: Callable[[AsyncSession, str], Awaitable[bool]] | None = None
    """Return whether a person with this e-mail address may register if REGISTRATION is `invited`."""
