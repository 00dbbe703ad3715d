"""Django's comforts on FastAPI: accounts, an admin, jobs, mail, files, language models and a management command."""

from importlib import import_module

__all__ = ["mount"]
__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    """Import `mount` on first use, because `oppman.py` imports this package before anything is installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    mount: object = import_module("opportune.application").mount
    return mount
