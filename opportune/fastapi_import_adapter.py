"""What of FastAPI's import a site can do without: a third of it builds the models that describe an API."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pydantic import BaseModel


def install() -> None:
    """Import FastAPI, if nobody has yet: its models of OpenAPI are built when a description is first asked for."""
    if "fastapi" not in sys.modules:
        with _models_built_later(), _email_validator_unread():
            import fastapi.openapi.models  # noqa: F401, PLC0415 - now is when
    from fastapi._compat import shared  # noqa: PLC0415 - after that

    ask = shared.is_pydantic_v1_model_class

    def is_pydantic_v1_model_class(cls: Any) -> bool:
        # FastAPI imports all of `pydantic.v1` to ask this of each model. Where nobody else has, the answer is no.
        return "pydantic.v1" in sys.modules and ask(cls)

    shared.is_pydantic_v1_model_class = is_pydantic_v1_model_class


@contextmanager
def _email_validator_unread() -> Iterator[None]:
    """FastAPI imports it to see whether it is installed, which it is; Pydantic does with the first address."""
    if "email_validator" in sys.modules:
        yield
        return
    sys.modules["email_validator"] = ModuleType("email_validator")
    try:
        yield
    finally:
        del sys.modules["email_validator"]


@contextmanager
def _models_built_later() -> Iterator[None]:
    config, rebuild = BaseModel.model_config, BaseModel.__dict__["model_rebuild"]

    def rebuild_if_needed(cls: type[BaseModel], /, **options: Any) -> bool | None:
        # FastAPI's own calls have no options, those of Pydantic for a model that is used now have some.
        return rebuild.__func__(cls, **options) if options else None

    BaseModel.model_config = {"defer_build": True}  # which classes inherit as they are declared
    BaseModel.model_rebuild = classmethod(rebuild_if_needed)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        BaseModel.model_config = config
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
