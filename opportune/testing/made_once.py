"""What thousands of sites in one process have in common, made once for all of them."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Connection, Dialect, Engine, create_engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Mapper

from opportune import application
from opportune.admin.permissions import Permissions
from opportune.admin.site import AdminSite
from opportune.config import settings
from opportune.config.settings import BaseSettings
from opportune.db.database import Database
from opportune.db.drivers import sync_engines
from opportune.db.migrations import graph
from opportune.feature import Feature

GC_THRESHOLDS = (100_000, 20, 50)
MAX_COMPILED_STATEMENTS = 3000
MAX_ROUTES = 2000
MAX_SITES = 200
RUN_FOLDER = "OPPORTUNE_TEST_RUN_FOLDER"
"""Tells processes of tests that tests start where those of this run keep what they have made for each other."""


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What all processes of this run have in common, also those that tests start."""
    of_this_run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_this_run = of_this_run.parent
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(os.environ.get(RUN_FOLDER) or of_this_run / "made-once")
        folder.mkdir(exist_ok=True)
        patch.setenv(RUN_FOLDER, str(folder))
        yield folder


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

    def create_with_compiled(*arguments: Any, **options: Any) -> Engine:
        engine = create_engine(*arguments, **options)
        engine.update_execution_options(compiled_cache=compiled)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "__init__", make_with_compiled)
        patch.setattr(sync_engines, "create_engine", create_with_compiled)  # what migrations ask is long
        patch.setattr(Mapper, "_compiled_cache", compiled, raising=False)  # of what a session writes
        yield


@pytest.fixture(scope="session", autouse=True)
def servers_that_are_asked_once() -> Iterator[None]:
    """Each engine first asks its server what it can do, in half a dozen questions; here are thousands of engines."""
    with pytest.MonkeyPatch.context() as patch:
        for dialect in (DefaultDialect, PGDialect_psycopg):
            patch.setattr(dialect, "initialize", _once_a_server(dialect.initialize))
        yield


def _once_a_server(ask: Callable[[Any, Connection], None]) -> Callable[[Any, Connection], None]:
    """What asks a server as `ask` does, or knows what another dialect was told at the same address."""
    told: dict[Any, dict[str, Any]] = {}

    def initialize(dialect: Any, connection: Connection) -> None:
        isolation = getattr(dialect, "_on_connect_isolation_level", None)  # what a server calls its default by then
        server = type(dialect), connection.engine.url._replace(database=None), isolation
        if server in told:
            vars(dialect).update(told[server])
            return
        before = dict(vars(dialect))
        ask(dialect, connection)
        now = {
            name: value for name, value in vars(dialect).items() if isinstance(value, bool | int | str | tuple | None)
        }
        told[server] = {name: value for name, value in now.items() if before.get(name, told) is not value}

    return initialize


@pytest.fixture(scope="session", autouse=True)
def migrations_that_are_read_once() -> Iterator[None]:
    """Each command reads all of them, to know what waits; here are hundreds of commands."""
    read = graph.read_migration
    of_text = lru_cache(1024)(lambda path, _text: read(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "read_migration", lambda path: of_text(path, path.read_bytes()))
        yield


@pytest.fixture(scope="session", autouse=True)
def settings_of_features_that_are_read_once() -> Iterator[None]:
    """Each site reads those of each feature, from the environment of this process."""
    load = settings.load_kind
    of_environ = lru_cache(64)(lambda kind, _environ: load(kind, _env_file=None))

    def load_once(kind: type[BaseSettings], **given: Any) -> BaseSettings:
        if given != {"_env_file": None}:
            return load(kind, **given)
        environ = frozenset(item for item in os.environ.items() if item[0] != "PYTEST_CURRENT_TEST")
        found: BaseSettings = of_environ(kind, environ)
        return found.model_copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "load_kind", load_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_admin_templates(run_folder: Path) -> Iterator[None]:
    """Share the compiled templates of the admin between the sites and processes of this run."""
    folder = run_folder / "templates"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdminSite, "bytecode_cache", FileSystemBytecodeCache(str(folder)))
        yield


@pytest.fixture(scope="session", autouse=True)
def needs_that_are_looked_at_once() -> Iterator[None]:
    """Where one test's routes need what another's site has not, each site looks at all routes of its features."""
    look = Permissions._route_faults
    known: dict[tuple[int, ...], tuple[Sequence[Feature], list[str]]] = {}

    def look_once(self: Permissions) -> Iterator[str]:
        key = tuple(map(id, self.features))
        if key not in known:
            if len(known) > MAX_SITES:
                known.clear()
            known[key] = self.features, list(look(self))
        return iter(known[key][1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Permissions, "_route_faults", look_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def garbage_that_is_looked_for_seldom() -> Iterator[None]:
    """A site tunes the collector for itself; a thousand sites leave more, which is gone when the process ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "tune_gc", lambda: None)
        # For good: with those before, all would be looked through here, and by pytest once more.
        gc.set_threshold(*GC_THRESHOLDS)
        yield
