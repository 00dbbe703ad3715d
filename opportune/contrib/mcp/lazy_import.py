"""The SDK is imported when it is first needed: that takes half a second, which no start waits for."""

import asyncio
import sys
from importlib import import_module


async def load(module: str) -> None:
    """Import a module without keeping others waiting; a plain import of it then costs nothing."""
    if module not in sys.modules:
        await asyncio.to_thread(import_module, module)
