"""Fixtures to run commands in a copy of the project."""

from collections.abc import Iterator
from importlib import import_module

import pytest

from tests.opportune.cli.conftest import files_before, run, shared_copy

__all__ = ["files_before", "run", "shared_copy"]


@pytest.fixture(scope="session", autouse=True)
def inflect_without_type_checks() -> Iterator[None]:
    """Import inflect without the checks of types that it adds to its functions, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typeguard.typechecked", lambda function: function)
        import_module("inflect")
        yield
