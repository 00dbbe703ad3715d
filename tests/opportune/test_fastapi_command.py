"""The attribute `app` of the project's main.py, which `uvicorn app.main:app` and `fastapi dev` load."""

import sys
from typing import Any

import pytest
from fastapi import FastAPI
from uvicorn.importer import import_from_string

from app import main
from opportune.application import create_on_first_use
from opportune.config.settings import load_settings, site_url
from opportune.errors import OperatorError


def test_import_of_main_does_not_create_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(main), "app", raising=False)
    assert "app" in dir(main)
    assert "app" not in vars(main)
    assert isinstance(import_from_string("app.main:app"), FastAPI)
    assert vars(main)["app"] is main.app
    with pytest.raises(AttributeError, match=r"'app\.main' has no attribute 'nothing'"):
        _ = main.nothing  # type: ignore[attr-defined]


def test_links_contain_the_port_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setattr(sys, "argv", ["fastapi", "run", "--port", "9000"])
    module: dict[str, Any] = {"create_app": lambda: site_url(load_settings())}
    create_on_first_use(module)
    assert module["__getattr__"]("app") == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperatorError("Set SECRET_KEY."), (SystemExit, r"^Set SECRET_KEY\.$")),
        (AttributeError("'FastAPI' object has no attribute 'inclde_router'"), (RuntimeError, "start: .*inclde_router")),
    ],
)
def test_app_that_cannot_be_created_names_the_cause(error: Exception, expected: tuple[Any, str]) -> None:
    def create_app() -> FastAPI:
        raise error

    module: dict[str, Any] = {"__name__": "app.main", "create_app": create_app}
    create_on_first_use(module)
    with pytest.raises(expected[0], match=expected[1]):
        module["__getattr__"]("app")
