"""Faster replacements of parts of FastAPI, SQLAlchemy and aiosqlite, which use private names of these libraries.

A site runs without this folder (oppman.py docs speedups). Only `opportune.config.speedups` imports it.
"""


def require(owner: type, *names: str) -> None:
    """Check the private names that a module overrides or calls.

    Raises:
        ImportError: One of them no longer exists.
    """
    if missing := [name for name in names if not hasattr(owner, name)]:
        raise ImportError(f"{owner.__module__}.{owner.__name__} no longer has {', '.join(missing)}")
