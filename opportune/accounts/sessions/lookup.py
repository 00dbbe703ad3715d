"""Lookup of a token, its user and their grants in one query. Every request of a signed-in user starts with it.

It bypasses the ORM session, which costs more than the query itself, and creates the same objects.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import Select, String, bindparam, func, inspect, literal_column, select
from sqlalchemy.orm import Mapper, make_transient_to_detached
from sqlmodel import col

from opportune.accounts.models import ApiToken, Grant, Membership, Session, User
from opportune.accounts.sessions.credentials import hash_token
from opportune.db.database import Database
from opportune.db.models.model import Model, utc_now

T = TypeVar("T", Session, ApiToken)
M = TypeVar("M", bound=Model)


Grants = AbstractSet[tuple[str, str]]
"""Pairs of a model's identity in the admin and an action; `*` means all of them."""
EVERYTHING: Grants = frozenset({("*", "*")})


async def find_by_token(database: Database, model: type[T], token: str) -> tuple[T, User, Grants] | None:
    """Return the valid row of a token, its active user, and their grants.

    The rows belong to no ORM session.
    """
    return await _find(database, model, _query(model, "token_hash"), hash_token(token))


async def find_by_token_id(database: Database, token_id: int) -> tuple[ApiToken, User, Grants] | None:
    """Return the same for the id of a token."""
    return await _find(database, ApiToken, _query(ApiToken, "id"), token_id)


async def find_impersonator(database: Database, row: Session, user: User) -> User | None:
    """Return the superuser who impersonates a user in this session, while they are signed in and a superuser."""
    if user.is_superuser:
        return None
    found = await database.lookup(_impersonator_query(), {"key": row.impersonator_session_id, "now": utc_now()})
    return None if found is None else _loaded(User, found)


async def _find(
    database: Database, model: type[T], query: Select[Any], key: str | int
) -> tuple[T, User, Grants] | None:
    row = await database.lookup(query, {"key": key, "now": utc_now()})
    if row is None:
        return None
    width, (*values, granted) = len(_columns(model)), row
    user = _loaded(User, values[width:])
    return _loaded(model, values[:width]), user, EVERYTHING if user.is_superuser else _grants(granted)


def _grants(granted: str | None) -> Grants:
    pairs = (pair.partition(":") for pair in granted.split("\n")) if granted else ()
    return frozenset((identity, action) for identity, _, action in pairs)


# Literals in the SQL text: each bound parameter costs as much as a column.
_COLON, _LINE_END = (cast("Any", literal_column(f"'{mark}'", String)) for mark in (":", "\n"))


@cache  # SQLAlchemy recognises the same object without comparing its parts
def _query(model: type[Session | ApiToken], key: str) -> Select[Any]:
    granted = (
        select(func.aggregate_strings(col(Grant.identity) + _COLON + col(Grant.action), _LINE_END))
        .join(Membership, col(Membership.group_id) == col(Grant.group_id))
        .where(col(Membership.user_id) == col(User.id))
        .correlate(User)
        .scalar_subquery()
    )
    return (
        select(*_columns(model).values(), *_columns(User).values(), granted)
        .join_from(model, User, col(User.id) == col(model.user_id))
        .where(
            getattr(model, key) == bindparam("key"),
            col(model.expires_at) > bindparam("now"),
            col(User.is_active),
        )
    )


@cache
def _impersonator_query() -> Select[Any]:
    """A separate query, because only impersonated sessions need it."""
    return (
        select(*_columns(User).values())
        .join_from(Session, User, col(User.id) == col(Session.user_id))
        .where(
            col(Session.id) == bindparam("key"),
            col(Session.expires_at) > bindparam("now"),
            col(User.is_active),
            col(User.is_superuser),
        )
    )


def _loaded(model: type[M], values: Sequence[Any]) -> M:
    """Create an object as the ORM loads it, so that `session.add` tracks later changes."""
    instance: M = _mapper(model).class_manager.new_instance()
    vars(instance).update(zip(_columns(model), values, strict=True))
    make_transient_to_detached(instance)
    return instance


@cache
def _columns(model: type[Model]) -> dict[str, Any]:
    """Columns by attribute, in the order of the query."""
    return {attribute.key: attribute.columns[0] for attribute in _mapper(model).column_attrs}


def _mapper(model: type[M]) -> Mapper[M]:
    mapper: Mapper[M] = inspect(model, raiseerr=True)
    return mapper
