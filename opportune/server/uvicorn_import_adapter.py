"""What of uvicorn's import a server can do without: its command line, with click and supervisors of several workers."""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

COMMAND_LINE = "uvicorn.main"


def install() -> None:
    """Import uvicorn, if nobody has yet: its command line follows when somebody asks for it."""
    if "uvicorn" in sys.modules:
        return
    sys.modules[COMMAND_LINE] = _CommandLine(COMMAND_LINE)
    try:
        import_module("uvicorn")
    finally:
        _forget()


class _CommandLine(ModuleType):
    """Stands in for the module while uvicorn imports its names from it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "Server":
            return import_module("uvicorn.server").Server
        return _called_later(name) if name in ("main", "run") else getattr(_imported(), name)


def _called_later(name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        return getattr(_imported(), name)(*arguments, **options)

    return call


def _imported() -> ModuleType:
    _forget()
    uvicorn, command_line = import_module("uvicorn"), import_module(COMMAND_LINE)
    vars(uvicorn).update(main=command_line.main, run=command_line.run)
    return command_line


def _forget() -> None:
    if isinstance(sys.modules.get(COMMAND_LINE), _CommandLine):
        del sys.modules[COMMAND_LINE]
