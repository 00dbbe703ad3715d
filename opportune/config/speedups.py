"""Hook for `opportune/speedups`, modules with private names of libraries that save time.

The core asks for a name of a module and has a fallback with public names. The fallback is used if SPEEDUPS is off, if
the folder has been deleted, or if a library no longer has its private names.
"""

import logging
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from opportune.project.layout import read_setting

PACKAGE = "opportune.speedups"

logger = logging.getLogger(__name__)
T = TypeVar("T")


@cache
def are_on() -> bool:
    """Return whether the folder exists and SPEEDUPS is on, in the environment or `.env`, before settings are read."""
    spec = find_spec(PACKAGE)
    is_deleted = spec is None or spec.origin is None  # a folder of old bytecode has no origin
    return not is_deleted and read_setting("SPEEDUPS") != "off"


@cache
def module_of(name: str) -> object:
    """Import a module of the folder. Return None if its library no longer has the names that it needs."""
    try:
        return import_module(f"{PACKAGE}.{name}")
    except (ImportError, AttributeError) as error:
        logger.warning("%s.%s is not used, which makes the site slower: %s", PACKAGE, name, error)
        return None


def speedup(module: str, name: str, fallback: T) -> T:
    """Return a name of a module in `opportune/speedups`, or the fallback."""
    return getattr(module_of(module), name, fallback) if are_on() else fallback
