"""Private parts of libraries that save time, each in a module named `…_adapter` with the public way as its fall-back.

`SPEEDUPS=off` takes all of them out. One whose library has moved what it needs is left out by itself.
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
    """Whether `SPEEDUPS` is not `off`: in the environment, else in `.env`. Asked before there are settings."""
    return (os.environ.get("SPEEDUPS") or env_file_value("SPEEDUPS").strip()) != "off"


@cache
def module_of(adapter: str) -> object:
    """The adapter, or None where it cannot do without what its library no longer has."""
    try:
        return import_module(adapter)
    except (ImportError, AttributeError) as error:
        logger.warning("%s is left out, and what it does takes longer: %s", adapter, error)
        return None


def speedup(adapter: str, name: str, fallback: T) -> T:
    """What an adapter has under that name; the fall-back where speed-ups are off or the adapter is left out."""
    return getattr(module_of(adapter), name, fallback) if are_on() else fallback


def require(owner: type, *names: str) -> None:
    """Have an adapter left out unless a library's class still has the private names that it overrides or calls.

    Raises:
        ImportError: one of them is gone.
    """
    if gone := [name for name in names if not hasattr(owner, name)]:
        raise ImportError(f"{owner.__module__}.{owner.__name__} has no {', '.join(gone)} any more")
