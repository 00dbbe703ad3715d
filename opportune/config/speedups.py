"""Adapters around private names of libraries that save time, each with a public way as its fallback.

`SPEEDUPS=off` turns all of them off. An adapter that no longer finds its private names is left out.
"""

import logging
import os
from functools import cache
from importlib import import_module
from typing import TypeVar

from opportune.config.project import env_file_value

logger = logging.getLogger(__name__)
T = TypeVar("T")


@cache
def are_on() -> bool:
    """Return whether `SPEEDUPS`, in the environment or else in `.env`, is not `off`. Needs no settings."""
    return (os.environ.get("SPEEDUPS") or env_file_value("SPEEDUPS").strip()) != "off"


@cache
def module_of(adapter: str) -> object:
    """Return the adapter, or None if its library no longer has the names that it needs."""
    try:
        return import_module(adapter)
    except (ImportError, AttributeError) as error:
        logger.warning("%s is left out, and what it does takes longer: %s", adapter, error)
        return None


def speedup(adapter: str, name: str, fallback: T) -> T:
    """Return that name of an adapter, or the fallback if speed-ups are off or the adapter is left out."""
    return getattr(module_of(adapter), name, fallback) if are_on() else fallback


def require(owner: type, *names: str) -> None:
    """Check the private names that an adapter overrides or calls, so that it is left out without them.

    Raises:
        ImportError: one of them is gone.
    """
    if gone := [name for name in names if not hasattr(owner, name)]:
        raise ImportError(f"{owner.__module__}.{owner.__name__} has no {', '.join(gone)} any more")
