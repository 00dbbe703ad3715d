"""How routes get settings."""

from functools import cache
from typing import Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from opportune.config.base_settings import BaseSettings


@cache
def settings_of(kind: type[BaseSettings]) -> Any:
    """A dependency with a feature's settings: `settings: Annotated[BooksSettings, settings_of(BooksSettings)]`.

    The site's own are `settings_of(Settings)`.
    """

    async def read(request: HTTPConnection) -> BaseSettings:
        found: BaseSettings = request.app.state.settings.of(kind)
        return found

    return Depends(read)
