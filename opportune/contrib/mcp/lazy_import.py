"""Import the SDK on first use, because it takes half a second."""

import asyncio
import sys
from importlib import import_module


async def load(module: str) -> None:
    """Import a module in a thread. A normal import after that is fast."""
    if module not in sys.modules:
        await asyncio.to_thread(import_module, module)
