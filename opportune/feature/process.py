"""Objects and contexts of a feature in each process."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY, dataclass
from typing import Any

from fastapi import FastAPI

from opportune.errors.option_names import strict
from opportune.services import Service, Services


@strict
@dataclass(frozen=True)
class Process:
    """Services and contexts of servers and workers."""

    _: KW_ONLY
    services: Sequence[Service[Any]] = ()
    """Objects that routes find in `app.state` and jobs in their context. They are closed in reverse order."""
    context: Callable[[Services], AbstractAsyncContextManager[None]] | None = None
    """Context that servers and workers enter before they use the database, and exit last."""
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
    """Context that servers enter after the database is set up, and exit before it is closed."""
