"""How the site speaks HTTP."""

import sys
from typing import Any

from fastapi._compat import shared

_asks = getattr(shared, "is_pydantic_v1_model_class", None)  # private: another FastAPI may have no such thing


def _is_pydantic_v1_model_class(cls: Any) -> bool:
    """FastAPI imports all of pydantic.v1 to ask this of each model. Where nobody else has, the answer is no."""
    return "pydantic.v1" in sys.modules and _asks is not None and _asks(cls)


if _asks:
    shared.is_pydantic_v1_model_class = _is_pydantic_v1_model_class
