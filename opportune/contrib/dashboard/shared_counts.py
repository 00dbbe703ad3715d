"""Counts of the overview, which the processes of the site share for a minute."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from pydantic import TypeAdapter
from sqlalchemy import ClauseElement
from sqlalchemy.ext.asyncio import AsyncSession

from opportune import __version__
from opportune.schemas.annotations import adapter_of
from opportune.web.cache import Cache

T = TypeVar("T")

TAG = "overview"
"""Tag of all counts in the site's cache."""
MAX_AGE_SECONDS = 60


class SharedCounts(Generic[T]):
    """Values of one type in the site's cache. A change of their models in the admin clears them."""

    def __init__(self, app: FastAPI, type_: Any) -> None:
        self._state = app.state
        self._type = type_
        self._adapter: TypeAdapter[T] = adapter_of(type_)

    async def get(self, key: Sequence[object], identities: Iterable[str], read: Callable[[], Awaitable[T]]) -> T:
        """Return a value that is at most a minute old.

        Args:
            key: Everything that the value depends on: conditions on the rows, range and time zone.
            identities: Models that the value counts.
            read: Reads the value if it is not in the cache.
        """
        cache: Cache = self._state.cache
        name = f"{TAG} {__version__} {self._type} {key!r}"  # another release may store other types
        tags = (TAG, *map(_tag_of, identities))

        async def build(_session: AsyncSession) -> Any:
            return self._adapter.dump_python(await read(), mode="json")

        return self._adapter.validate_python(await cache.get_or_set(name, build, MAX_AGE_SECONDS, tags=tags))


def describe_conditions(session: AsyncSession, conditions: Iterable[ClauseElement]) -> str:
    """Return the SQL of conditions with their parameters, which may depend on the user."""
    dialect = session.get_bind().dialect
    compiled = [condition.compile(dialect=dialect) for condition in conditions]
    return repr([(str(statement), statement.params) for statement in compiled])


async def clear_counts(cache: Cache, identities: Iterable[str]) -> None:
    """Clear the counts of models that a request has changed."""
    await cache.clear(*map(_tag_of, identities))


def _tag_of(identity: str) -> str:
    return f"{TAG}:{identity}"
