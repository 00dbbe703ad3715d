"""The plugin of pytest: which tests run, and the settings of their site. Fixtures are in `opportune.testing.fixtures`.

With `-n` there is a process that only hands out tests. It imports neither fixtures nor framework, and begins at once.
"""

import gc
import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest

from opportune.cli.development.test import ONLY_DATABASE
from opportune.testing.services.missing_programs import pytest_terminal_summary

if TYPE_CHECKING:
    from opportune.config.base_settings import BaseSettings
    from opportune.config.settings import Settings

__all__ = ["pytest_terminal_summary"]  # a hook

SECRET_KEY = "a key for tests that opens nothing anywhere"

KINDS = ("sqlite", "postgresql")

PLUGINS = ("opportune.testing.fixtures", "opportune.llm.testing")
"""Modules with fixtures, imported in processes that run tests."""

HYPOTHESIS = "hypothesispytest"
"""What pytest calls its plugin."""

SLOWEST_MODULES = (
    *("test_project.py", "test_speedups.py", "test_wheel.py"),
    *("test_bookshelf.py", "test_cookbook.py", "test_startproject.py", "test_tutorial.py"),
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database(*kinds): the kinds of database that the test runs on; both without it")
    gc.disable()  # collecting leaves no garbage, and looking for it takes a fifth of its time
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        for plugin in PLUGINS:
            config.pluginmanager.import_plugin(plugin)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hypothesis imports itself for its part of the summary, which is empty where no test has: a fifth of a second."""
    plugins = session.config.pluginmanager
    others_run_tests = session.config.getoption("dist", "no") != "no"
    if "hypothesis" not in sys.modules and not others_run_tests and plugins.has_plugin(HYPOTHESIS):
        plugins.unregister(name=HYPOTHESIS)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    gc.freeze()  # pytest has just looked for what nobody has closed: it looks once more, and so does Python at its end


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("database")
        metafunc.parametrize("database_kind", marker.args if marker else KINDS, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_out_other_databases(config, items)
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("e2e")
    # The longest come first, or one core would wait for the other at the end.
    items.sort(key=lambda item: item.path.name not in SLOWEST_MODULES)


def _leave_out_other_databases(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What `oppman.py test --sqlite` and `--postgres` ask for."""
    if only := os.environ.get(ONLY_DATABASE):
        others = [item for item in items if _database_of(item) not in ("", only)]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)


def _database_of(item: pytest.Item) -> str:
    """The kind of database that a test is asked on; empty if it needs none."""
    call = getattr(item, "callspec", None)
    kind: str = call.params.get("database_kind", "") if call else ""
    return kind or ("postgresql" if "postgres_server" in getattr(item, "fixturenames", ()) else "")


def settings_for(database_url: str, *of_features: "BaseSettings") -> "Settings":
    """Make settings that no file of the machine reaches; those of features are as given, or as their classes begin."""
    from pydantic import SecretStr

    from opportune.config.project import settings_class

    environ = frozenset(item for item in os.environ.items() if item[0] not in ("DATABASE_URL", "PYTEST_CURRENT_TEST"))
    settings = _read_settings(settings_class(), environ)
    return settings.model_copy(update={"database_url": SecretStr(database_url)}).having(*of_features)


@lru_cache(64)
def _read_settings(kind: "type[Settings]", _environ: frozenset[tuple[str, str]]) -> "Settings":
    """Read once for all tests with this environment: reading takes longer than many of them."""
    from pydantic import SecretStr

    return kind(
        _env_file=None, environment="test", secret_key=SecretStr(SECRET_KEY), database_url=SecretStr("sqlite://")
    )


def migrate(database_url: str) -> None:
    """Apply the migrations of what is installed."""
    from opportune.config.project import installed_names
    from opportune.db.migrations.connection import connect
    from opportune.db.migrations.graph import MigrationGraph
    from opportune.db.migrations.runner import plan_for, run_migrations
    from opportune.testing.unmigrated import require_migrations

    graph = MigrationGraph(installed_names())
    with connect(settings_for(database_url)) as connection:
        run_migrations(connection, graph, plan_for(graph))
        require_migrations(connection, graph.features)
