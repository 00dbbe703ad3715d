"""Lookup of a token, its user and the user's permissions in one query.

Every request of a signed-in user starts with the query. It bypasses the ORM session, because a session costs more time
than the query. The results are model instances.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

from sqlalchemy import Select, String, bindparam, func, inspect, literal_column, select
from sqlalchemy.orm import Mapper, make_transient_to_detached
from sqlmodel import col

from opportune.accounts.models import ApiToken, GroupPermission, Membership, Session, User
from opportune.accounts.sessions.credentials import hash_token
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.models.model import Model

T = TypeVar("T", Session, ApiToken)
M = TypeVar("M", bound=Model)

PermissionSet = AbstractSet[tuple[str, str]]
"""Pairs of a model's identity in the admin and an action, such as `("todo", "list")`; `*` means all of them."""
ALL_PERMISSIONS: PermissionSet = frozenset({("*", "*")})

# Literals, because a bound parameter takes as much time as a column.
_COLON: Any = literal_column("':'", String)
_NEWLINE: Any = literal_column("'\n'", String)


class CredentialMatch(NamedTuple, Generic[T]):
    """A valid session or token, and its active user. The instances do not belong to an ORM session."""

    credential: T
    user: User
    permissions: PermissionSet


async def find_by_token(database: Database, model: type[T], token: str) -> CredentialMatch[T] | None:
    """Return the match of a token; None if the token has expired or the user is inactive."""
    return await _find_by_key(database, model, _credential_query(model, "token_hash"), hash_token(token))


async def find_by_token_id(database: Database, token_id: int) -> CredentialMatch[ApiToken] | None:
    """Return the match of an API token by the id of its row, as `find_by_token`."""
    return await _find_by_key(database, ApiToken, _credential_query(ApiToken, "id"), token_id)


async def find_impersonator(database: Database, row: Session, user: User) -> User | None:
    """Return the superuser who impersonates `user` in this session; None if they signed out or lost this permission."""
    if user.is_superuser:
        return None
    values = await database.lookup(_impersonator_query(), {"key": row.impersonator_session_id, "now": utc_now()})
    return None if values is None else _load_instance(User, values)


async def _find_by_key(
    database: Database, model: type[T], query: Select[Any], key: str | int
) -> CredentialMatch[T] | None:
    row = await database.lookup(query, {"key": key, "now": utc_now()})
    if row is None:
        return None
    *values, texts = row
    width = len(_columns(model))
    credential = _load_instance(model, values[:width])
    user = _load_instance(User, values[width:])
    pairs = [line.partition(":") for line in texts.split("\n")] if texts else []  # lines such as `todo:list`
    permissions = frozenset((identity, action) for identity, _, action in pairs)
    return CredentialMatch(credential, user, ALL_PERMISSIONS if user.is_superuser else permissions)


@cache  # SQLAlchemy finds the compiled statement of the same object without comparing its clauses
def _credential_query(model: type[Session | ApiToken], key_column: str) -> Select[Any]:
    permissions = (
        select(func.aggregate_strings(col(GroupPermission.identity) + _COLON + col(GroupPermission.action), _NEWLINE))
        .join(Membership, col(Membership.group_id) == col(GroupPermission.group_id))
        .where(col(Membership.user_id) == col(User.id))
        .correlate(User)
        .scalar_subquery()
    )
    return (
        select(*_columns(model).values(), *_columns(User).values(), permissions)
        .join_from(model, User, col(User.id) == col(model.user_id))
        .where(
            getattr(model, key_column) == bindparam("key"),
            col(model.expires_at) > bindparam("now"),
            col(User.is_active),
        )
    )


@cache
def _impersonator_query() -> Select[Any]:
    """Return a separate query, because only impersonated sessions need it."""
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


def _load_instance(model: type[M], values: Sequence[Any]) -> M:
    """Create an instance as the ORM loads it, so that `session.add` tracks later changes."""
    instance: M = _mapper(model).class_manager.new_instance()
    vars(instance).update(zip(_columns(model), values, strict=True))
    make_transient_to_detached(instance)
    return instance


@cache
def _columns(model: type[Model]) -> dict[str, Any]:
    """Return the columns by attribute name, in the order of the query."""
    return {attribute.key: attribute.columns[0] for attribute in _mapper(model).column_attrs}


def _mapper(model: type[M]) -> Mapper[M]:
    return cast("Mapper[M]", inspect(model, raiseerr=True))
