"""What thousands of sites in one process have in common, made once for all of them."""

import gc
from collections.abc import Iterator
from functools import lru_cache, partialmethod
from typing import Any

import pytest
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from sqlalchemy import Dialect
from sqlalchemy.orm import Mapper

from opportune import application
from opportune.db.database import Database
from opportune.speedups import are_on, module_of

GC_THRESHOLDS = (100_000, 20, 50)
MAX_COMPILED_STATEMENTS = 3000


class CompiledTemplates(BytecodeCache):
    """Compiled templates, by their names and texts."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.codes[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session", autouse=True)
def templates_that_are_compiled_once() -> Iterator[None]:
    """Each site compiles its admin's; here are a thousand sites."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "__init__", partialmethod(Environment.__init__, bytecode_cache=CompiledTemplates()))
        yield


@pytest.fixture(scope="session", autouse=True)
def routes_that_are_analysed_once() -> Iterator[None]:
    """Each site does it with the paths of its pages, and what they all depend on; here are a thousand sites."""
    adapter = module_of("opportune.web.fastapi_adapter") if are_on() else None
    with pytest.MonkeyPatch.context() as patch:
        for name in ("get_parameterless_sub_dependant", "compile_path"):
            if adapter:
                patch.setattr(adapter, name, lru_cache(1024)(getattr(adapter, name)))
        yield


class CompiledStatements(dict[Any, Any]):
    """Compiled statements, by what SQLAlchemy tells them apart by, where engines of one dialect are alike."""

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if len(self) > MAX_COMPILED_STATEMENTS:
            self.clear()
        super().__setitem__(_alike(key), compiled)

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_alike(key), default)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(type(part) if isinstance(part, Dialect) else part for part in key)


@pytest.fixture(scope="session", autouse=True)
def statements_that_are_compiled_once() -> Iterator[None]:
    """Each engine compiles what it is asked; here are thousands of engines."""
    compiled, make = CompiledStatements(), Database.__init__

    def make_with_compiled(self: Database, *arguments: Any) -> None:
        make(self, *arguments)
        for engine in (self.engine, self.reading_engine):
            engine.update_execution_options(compiled_cache=compiled)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "__init__", make_with_compiled)
        patch.setattr(Mapper, "_compiled_cache", compiled, raising=False)  # of what a session writes
        yield


@pytest.fixture(scope="session", autouse=True)
def garbage_that_is_looked_for_seldom() -> Iterator[None]:
    """A site tunes the collector for itself; a thousand sites leave more, which is gone when the process ends."""
    before = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "tune_gc", lambda: None)
        gc.set_threshold(*GC_THRESHOLDS)
        yield
    gc.set_threshold(*before)
