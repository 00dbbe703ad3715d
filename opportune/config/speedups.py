"""Adapters around private names of libraries that save time, each with a public fallback.

`SPEEDUPS=off` turns them off. If a library no longer has its private names, the fallback is used.
"""

import logging
import os
from functools import cache
from importlib import import_module
from typing import TypeVar

from opportune.project.layout import env_file_value

logger = logging.getLogger(__name__)
T = TypeVar("T")


@cache
def are_on() -> bool:
    """Return whether SPEEDUPS is on, from the environment or `.env`. Works before the settings are read."""
    return (os.environ.get("SPEEDUPS") or env_file_value("SPEEDUPS").strip()) != "off"


@cache
def module_of(adapter: str) -> object:
    """Import an adapter. Return None if its library no longer has the names that it needs."""
    try:
        return import_module(adapter)
    except (ImportError, AttributeError) as error:
        logger.warning("%s is not used, which makes the site slower: %s", adapter, error)
        return None


def speedup(adapter: str, name: str, fallback: T) -> T:
    """Return an attribute of an adapter, or the fallback if speed-ups are off or the adapter cannot be used."""
    return getattr(module_of(adapter), name, fallback) if are_on() else fallback


def require(owner: type, *names: str) -> None:
    """Check the private names that an adapter overrides or calls.

    Raises:
        ImportError: One of them no longer exists.
    """
    if missing := [name for name in names if not hasattr(owner, name)]:
        raise ImportError(f"{owner.__module__}.{owner.__name__} no longer has {', '.join(missing)}")
