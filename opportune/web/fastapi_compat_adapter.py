"""FastAPI's question whether a class is one of Pydantic's old models, asked without importing all of `pydantic.v1`.

FastAPI imports it to ask this of each model. Where nobody else has, the answer is no.
"""

import sys
from typing import Any

from fastapi._compat import shared

_ask = shared.is_pydantic_v1_model_class


def is_pydantic_v1_model_class(cls: Any) -> bool:
    return "pydantic.v1" in sys.modules and _ask(cls)


def install() -> None:
    """Have FastAPI ask so."""
    shared.is_pydantic_v1_model_class = is_pydantic_v1_model_class
