"""Counts of the overview, which the processes of the site share for a minute."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ClauseElement
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.signing import derived_key
from opportune.web.cache import Cache
from opportune.web.cache.cached_response import CachedResponse

T = TypeVar("T")

TAG = "overview"
"""Tag of all counts in the site's cache."""
MAX_AGE_SECONDS = 60


class SharedCounts(Generic[T]):
    """Values of one type in the site's cache. A change of their models in the admin clears them."""

    def __init__(self, app: FastAPI, type_: Any) -> None:
        self._state = app.state
        self._adapter: TypeAdapter[T] = TypeAdapter(type_)

    async def get(self, key: Sequence[object], identities: Iterable[str], read: Callable[[], Awaitable[T]]) -> T:
        """Return a value that is at most a minute old.

        Args:
            key: Everything that the value depends on: conditions on the rows, range and time zone.
            identities: Models that the value counts.
            read: Reads the value if it is not in the cache.
        """
        cache: Cache = self._state.cache
        secret = derived_key(self._state.settings, "admin: overview").encode()  # sites may share a Redis
        name = f"{TAG}:{hmac.digest(secret, repr(key).encode(), 'sha256').hex()}"
        tags = (TAG, *map(_tag_of, identities))
        lookup = await cache.store.find(name, tags)
        if lookup.response:
            with suppress(ValidationError):  # another release has stored it
                return self._adapter.validate_json(lookup.response.body)
        value = await read()
        response = CachedResponse(200, (), self._adapter.dump_json(value))
        await cache.store.save(name, response, lookup, tags, MAX_AGE_SECONDS)
        return value


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
