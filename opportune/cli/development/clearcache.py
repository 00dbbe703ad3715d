"""Clear cached responses, values and parts of pages."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.cli.output import say, warn
from opportune.cli.transaction import in_transaction
from opportune.errors import OperatorError
from opportune.web.cache import ALL_TAGS, Cache
from opportune.web.cache.factory import INFO_KEY


def command(
    tags: Annotated[list[str] | None, typer.Argument(help="Tags of the entries.", show_default="all")] = None,
) -> None:
    async def clear(session: AsyncSession) -> bool:
        cache: Cache = session.info[INFO_KEY]
        await cache.clear(*(tags or [ALL_TAGS]))
        if failure := await cache.store.check():
            raise OperatorError(f"The cache was not cleared, because it is not available: {failure}.")
        return cache.reaches_other_processes

    if in_transaction(clear):
        say("The cache was cleared.")
    else:
        warn("Running processes have their cache in memory, and no bus reaches them. Restart them, or set CACHE_URL.")
