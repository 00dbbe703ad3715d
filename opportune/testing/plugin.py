"""The pytest plugin: selection of tests and settings of their site. Fixtures are in `opportune.testing.fixtures`.

With `-n` the controller process imports neither fixtures nor framework, so it starts fast.
"""

import gc
import os
import sys
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from opportune.config.languages import SOURCE_LANGUAGE
from opportune.errors import OperatorError
from opportune.project.installed import features_on_postgresql
from opportune.project.layout import ONLY_DATABASE
from opportune.project.modules import settings_class
from opportune.testing.services.missing_programs import pytest_terminal_summary

if TYPE_CHECKING:
    from opportune.config.base_settings import BaseSettings
    from opportune.config.settings import Settings

__all__ = ["pytest_terminal_summary"]  # a hook

SECRET_KEY = "a key for tests that opens nothing anywhere"

HYPOTHESIS_PLUGIN = "hypothesispytest"
TEST_PLUGINS = ("opportune.testing.fixtures", "opportune.testing.services.browser", "opportune.testing.time_limit")
"""Modules that are imported in processes that run tests."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database(*kinds): the databases that the test runs on; SQLite without it")
    config.addinivalue_line("markers", "language(*codes): runs the test once for each language, on a site in it")
    config.addinivalue_line("markers", "e2e: uses Chromium and a server; set for tests with a browser fixture")
    config.addinivalue_line("markers", "model: needs the local model's wheels")
    config.addinivalue_line("markers", "time_limit(seconds): of an asynchronous test; None for no limit")
    config.addinivalue_line("filterwarnings", "ignore:Field name .* shadows an attribute in parent")
    config.addinivalue_line("filterwarnings", "ignore::pluggy.PluggyTeardownRaisedWarning")  # it replaces the error
    gc.disable()  # collecting creates no garbage, and searching for it takes long
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        for name in TEST_PLUGINS:
            # Not `import_plugin`, which warns if a conftest.py has imported the module.
            config.pluginmanager.register(import_module(name), name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remove the plug-in of Hypothesis, which would import it for its summary, if no test uses it."""
    if "hypothesis" not in sys.modules and session.config.pluginmanager.has_plugin(HYPOTHESIS_PLUGIN):
        session.config.pluginmanager.unregister(name=HYPOTHESIS_PLUGIN)


def pytest_runtest_call() -> None:
    """Collect garbage from the first test on, whose fixtures import most of the site."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def pytest_runtest_makereport(call: pytest.CallInfo[object]) -> None:
    """Add the hint of the error page to an error."""
    if call.excinfo:
        from opportune.web.errors.error_hints import hint_for  # imports most of the site

        error = call.excinfo.value
        with suppress(Exception):  # an error of any class, also one without a text, must not end the run
            note = str(hint_for(error) or "")
            if note and note not in getattr(error, "__notes__", ()):  # a failed fixture fails several tests
                error.add_note(note)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    gc.freeze()  # pytest has just collected garbage; Python would do it again at exit


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("database")
        metafunc.parametrize("database_kind", marker.args if marker else [default_database()], indirect=True)
    marker = metafunc.definition.get_closest_marker("language")
    if marker and "language" in metafunc.fixturenames:
        metafunc.parametrize("language", marker.args, indirect=True)


@cache
def default_database() -> str:
    """Return the database of tests without the mark: SQLite unless the run or the features need another.

    This imports the project. pytest shows only the message of a mistake in a declaration.
    """
    try:
        return os.environ.get(ONLY_DATABASE) or ("postgresql" if features_on_postgresql() else "sqlite")
    except OperatorError as error:
        raise pytest.Collector.CollectError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _deselect_other_databases(config, items)
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("e2e")


def _deselect_other_databases(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests for `oppman.py test --sqlite` and `--postgres`."""
    if selected_kind := os.environ.get(ONLY_DATABASE):
        other_databases = [item for item in items if _database_of(item) not in ("", selected_kind)]
        items[:] = [item for item in items if item not in other_databases]
        config.hook.pytest_deselected(items=other_databases)


def _database_of(item: pytest.Item) -> str:
    """Return the database of a test; empty if it needs none."""
    call = getattr(item, "callspec", None)
    kind: str = call.params.get("database_kind", "") if call else ""
    return kind or ("postgresql" if "postgres_server" in getattr(item, "fixturenames", ()) else "")


def settings_for(database_url: str, *feature_settings: "BaseSettings") -> "Settings":
    """Return settings that read no file of the machine. Settings of features have their defaults unless given.

    The language is English in all projects, because tests compare the texts of the source code.
    """
    from pydantic import SecretStr

    class_: type[Settings] = settings_class()
    settings = _read_settings(class_, environ_of_settings())
    changes = {"database_url": SecretStr(database_url), "language": SOURCE_LANGUAGE}
    return settings.model_copy(update=changes).having(*feature_settings)


def environ_of_settings() -> frozenset[tuple[str, str]]:
    """Return the environment without variables that differ between tests but change no settings."""
    return frozenset(item for item in os.environ.items() if item[0] not in ("DATABASE_URL", "PYTEST_CURRENT_TEST"))


@lru_cache(64)
def _read_settings(settings_class: "type[Settings]", _environ: frozenset[tuple[str, str]]) -> "Settings":
    """Read the settings once for each environment, because reading takes longer than many tests."""
    from pydantic import SecretStr

    return settings_class(
        _env_file=None, environment="test", secret_key=SecretStr(SECRET_KEY), database_url=SecretStr("sqlite://")
    )
