"""The event loop of commands."""

import asyncio


def runner() -> asyncio.Runner:
    """Runs coroutines on a loop that psycopg can use: not the one that Windows has by default."""
    return asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
