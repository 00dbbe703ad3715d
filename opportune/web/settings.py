"""Settings as a dependency of routes."""

from functools import cache
from typing import Any, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from opportune.config.base_settings import BaseSettings


@cache
def settings_of(class_: type[BaseSettings]) -> Any:
    """Return a dependency for the settings of a feature, or of the site (`settings_of(Settings)`).

        settings: Annotated[BooksSettings, settings_of(BooksSettings)]

    Args:
        class_: The settings class of the feature.
    """

    async def read(request: HTTPConnection) -> BaseSettings:
        return cast("BaseSettings", request.app.state.settings.of(class_))

    return Depends(read)
