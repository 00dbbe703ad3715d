"""The event loop of commands."""

import asyncio


def open_event_loop() -> asyncio.Runner:
    """Return a runner with a selector event loop, because psycopg does not support Windows' default loop."""
    return asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
