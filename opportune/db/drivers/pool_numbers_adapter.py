"""SQLAlchemy's pool from the inside: how many connections it may have, and how many wait for one: it tells nobody."""

from typing import Any


def max_connections(pool: Any) -> int:
    """How many there can be; those that stay open, where a newer release keeps the rest somewhere else."""
    size: int = pool.size()
    return size + max(0, getattr(pool, "_max_overflow", 0))


def waiting_in(pool: Any) -> int:
    """Who waits; 0 where a newer release keeps that somewhere else, or nobody has waited yet."""
    queue = vars(getattr(pool, "_pool", None) or object).get("_queue")
    return sum(not getter.done() for getter in getattr(queue, "_getters", ()))
