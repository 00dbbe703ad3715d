"""Faster import of a library that `inspectdb` uses."""

from collections.abc import Iterator
from importlib import import_module

import pytest


@pytest.fixture(scope="session", autouse=True)
def inflect_without_type_checks() -> Iterator[None]:
    """Import inflect without the checks of types that it adds to its functions, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typeguard.typechecked", lambda function: function)
        import_module("inflect")
        yield
