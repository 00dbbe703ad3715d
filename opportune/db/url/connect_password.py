"""Passwords of new connections, which are read again for each."""

import asyncio
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.util import await_

from opportune.db.url.database_url import DatabaseUrl


def read_password_on_connect(engine: Engine, url: DatabaseUrl, *, is_async: bool = False) -> None:
    """Read the password for each new connection of an engine, if the URL has a source for it."""
    if url.password_source is None:
        return

    def set_password(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        if is_async:
            parameters["password"] = await_(asyncio.to_thread(url.read_password))
        else:
            parameters["password"] = url.read_password()

    event.listen(engine, "do_connect", set_password)
