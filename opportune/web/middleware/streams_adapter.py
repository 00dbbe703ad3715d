"""FastAPI's private stacks of what a request has opened: where they are empty, a stream needs none of its layers."""

from collections.abc import MutableMapping
from contextlib import AsyncExitStack
from typing import Any

STACKS = ("fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack")

if not hasattr(AsyncExitStack(), "_exit_callbacks"):
    raise ImportError("AsyncExitStack has no _exit_callbacks any more")


def forget_stacks(scope: MutableMapping[str, Any]) -> bool:
    """Take them out of the scope, where all are there and none has to close anything when the answer has been sent."""
    if any(name not in scope or scope[name]._exit_callbacks for name in STACKS):
        return False
    for name in STACKS:  # 0.8 kB each, though empty
        del scope[name]
    return True
