"""Fixtures of all tests. Each test has its own database, a copy of a migrated one."""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from opportune.accounts.models import User
from opportune.accounts.passwords import hashing
from opportune.config.base_settings import setting_names
from opportune.config.hosts import HOST_VARIABLES
from opportune.config.languages import find_language
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.drivers import sync_engines
from opportune.db.factory import open_database
from opportune.project.installed import features_on_postgresql
from opportune.project.modules import settings_class
from opportune.services.clock import clock
from opportune.storage import open_storage
from opportune.testing.factories import make_user, signed_in_client
from opportune.testing.migrations import migrate, migrate_file
from opportune.testing.plugin import settings_for
from opportune.testing.recorded_jobs import RecordedJobs
from opportune.testing.rows import Make
from opportune.testing.services.redis import redis
from opportune.testing.services.scratch import scratch

if TYPE_CHECKING:  # imported by the fixtures, because most runs of a few tests need neither
    from opportune.contrib.llm.providers.fake import FakeProvider
    from opportune.testing.services.postgres import Postgres

MAX_COMPILED_STATEMENTS = 3000
RUN_FOLDER = "OPPORTUNE_TEST_RUN_FOLDER"
"""Environment variable with the folder that all processes of this run share."""


@pytest.fixture(scope="session", autouse=True)
def isolate_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in {*setting_names(), *HOST_VARIABLES} - {"SPEEDUPS"}:  # read from the environment once
            patch.delenv(name, raising=False)
        patch.setitem(settings_class().model_config, "env_file", None)
        yield


@pytest.fixture(scope="session", autouse=True)
def restore_default_interrupts() -> Iterator[None]:
    """Shells start background processes with SIGINT ignored, which child processes would inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def keep_time_of_tests() -> Iterator[None]:
    """Keep the time that a test has replaced, instead of following the clock of PostgreSQL."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "compare", lambda *_: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def use_cheap_hashes() -> Iterator[None]:
    hasher = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "password_helper", PasswordHash((hasher,)))
        yield


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder that all processes of this run share, including those that tests start."""
    base_folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base_folder = base_folder.parent
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(os.environ.get(RUN_FOLDER) or base_folder / "made-once")
        folder.mkdir(exist_ok=True)
        patch.setenv(RUN_FOLDER, str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def share_compiled_statements() -> Iterator[None]:
    """Share compiled statements between the thousands of engines of a run.

    Caches of engines and mappers contain the dialect in their keys, so dialects of the same class are equal.
    """
    compiled: LRUCache[Any, Any] = LRUCache(MAX_COMPILED_STATEMENTS)
    initialize = Database.__init__

    def initialize_with_cache(self: Database, *arguments: Any) -> None:
        initialize(self, *arguments)
        for engine in (self.engine, self.reading_engine):
            engine.update_execution_options(compiled_cache=compiled)

    def create_engine_with_cache(*arguments: Any, **options: Any) -> Engine:
        engine = create_engine(*arguments, **options)
        engine.update_execution_options(compiled_cache=compiled)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefaultDialect, "__eq__", lambda dialect, other: type(dialect) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect)))
        patch.setattr(Database, "__init__", initialize_with_cache)
        patch.setattr(sync_engines, "create_engine", create_engine_with_cache)
        yield


@pytest.fixture(scope="session")
def create_site(run_folder: Path) -> Iterator[Callable[[Settings], FastAPI]]:
    """Function that creates sites, which share caches in the folder of the run."""
    from opportune.testing.app import create_test_app, share_site_caches

    with share_site_caches(run_folder):
        yield create_test_app


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[Postgres]":
    with ExitStack() as stack:
        yield start_postgres(stack)


def start_postgres(stack: ExitStack) -> "Postgres":
    """Start the server of this run. If it cannot start, each test that needs it fails with one line."""
    from opportune.testing.services.postgres import ServerNotStarted, postgres_of_run

    try:
        return stack.enter_context(postgres_of_run())
    except ServerNotStarted as error:
        pytest.fail(f"{error} Run the tests on SQLite only: python3 oppman.py test --sqlite", pytrace=False)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """One Redis for all tests, which use different keys or clear it."""
    with redis() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, run_folder: Path, pytestconfig: pytest.Config) -> Path:
    if names := features_on_postgresql():
        pytest.skip(f"The tables of {', '.join(names)} need PostgreSQL.")
    path = tmp_path_factory.mktemp("template") / "template.db"
    pytest_cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)  # missing with `-p no:cacheprovider`
    cache = pytest_cache.mkdir("migrated-databases") if pytest_cache else run_folder
    migrate_file(path, run_folder, cache)
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: "Postgres") -> str:
    name = f"template_{uuid4().hex}"  # another run may own the server
    migrate(postgres_server.create_database(name))
    return name


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database of this run of the test. `@pytest.mark.database("sqlite", "postgresql")` runs it on both."""
    return cast("str", request.param)


@contextmanager
def postgres_database(server: "Postgres", template: str | None = None) -> Iterator[str]:
    """Create a database for one test, as a copy of `template` if given, and return its URL."""
    name = f"test_{uuid4().hex}"
    yield server.create_database(name, template)
    server.drop_database(name)


@pytest.fixture
def empty_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with postgres_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a migrated database without rows."""
    if database_kind == "sqlite":
        # SQLite may still be writing its files after the test.
        with TemporaryDirectory(prefix="opportune-sqlite-", dir=scratch(), ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "test.db"
            shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("postgres_template")
    with postgres_database(server, template) as url:
        yield url


@pytest.fixture
def language(request: pytest.FixtureRequest) -> str:
    """Language of `@pytest.mark.language("de", "ar")`; empty without this mark."""
    code: str = getattr(request, "param", "")
    if code and find_language(code) is None:
        pytest.fail(f"{code!r} is not the code of a language, such as de or pt-BR.", pytrace=False)
    return code


@pytest.fixture
def settings(database_url: str, tmp_path: Path, language: str) -> Settings:
    """Settings of a site with uploads in a folder of the test, in the language of the test."""
    changes: dict[str, Any] = {"language": language, "languages": [language]} if language else {}
    changes["storage_url"] = SecretStr(f"file:{tmp_path / 'uploads'}")
    return settings_for(database_url).model_copy(update=changes)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    await database.setup()
    database.info["jobs"] = RecordedJobs(settings, database, open_storage(settings, database))  # until `recorded_jobs`
    yield database
    await database.dispose()


@pytest.fixture
async def app(settings: Settings, create_site: Callable[[Settings], FastAPI]) -> AsyncIterator[FastAPI]:
    """The whole site, started."""
    app = create_site(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def fake_llm(app: FastAPI) -> "FakeProvider":
    """Replace the site's model by a `FakeProvider`. Set its `script`, and read the messages in `received`."""
    from opportune.contrib.llm.providers.fake import FakeProvider

    app.state.llm.provider = model = FakeProvider("A scripted answer.")
    return model


@pytest.fixture
def recorded_jobs(app: FastAPI, database: Database) -> RecordedJobs:
    """Jobs queued by the site and the test. Run them with `await recorded_jobs.work()`."""
    state = app.state
    services = {**state.services.by_name(), "features": state.features}
    database.info["jobs"] = recorded = RecordedJobs(state.settings, state.database, state.storage, **services)
    state.jobs.enqueue = recorded.enqueue
    return recorded


@pytest.fixture
async def running_jobs(app: FastAPI) -> AsyncIterator[None]:
    """Run the jobs of the site in the background. Without this fixture they stay queued."""
    app.state.jobs.is_inline = True
    async with app.state.jobs.running():
        yield


@pytest.fixture
def make(database: Database) -> Make:
    """Creates rows of models: `await make(Book, title="Dune")`."""
    return Make(database)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client without cookies."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        yield client


@pytest.fixture
async def user(database: Database) -> User:
    """A user."""
    return await make_user(database)


@pytest.fixture
async def staff(database: Database) -> User:
    """A staff user. Add permissions with `add_permission(database, staff, "book", "update")`."""
    return await make_user(database, "staff@example.com", is_staff=True)


@pytest.fixture
async def superuser(database: Database) -> User:
    """A superuser."""
    return await make_user(database, "root@example.com", is_superuser=True)


@pytest.fixture
async def user_client(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    """A client in which `user` is signed in."""
    async with signed_in_client(app, user) as client:
        yield client


@pytest.fixture
async def staff_client(app: FastAPI, staff: User) -> AsyncIterator[AsyncClient]:
    """A client in which `staff` is signed in."""
    async with signed_in_client(app, staff) as client:
        yield client


@pytest.fixture
async def superuser_client(app: FastAPI, superuser: User) -> AsyncIterator[AsyncClient]:
    """A client in which `superuser` is signed in."""
    async with signed_in_client(app, superuser) as client:
        yield client
