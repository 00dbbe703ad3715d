"""Endpoint of a model that answers as a whole, such as one for embeddings. It is connected with the first request."""

import json
from typing import TYPE_CHECKING, Any

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.provider import Timeouts
from opportune.contrib.llm.providers.remote import LazyClient

if TYPE_CHECKING:
    from opportune.contrib.llm.providers.model_client import ModelClient


class ModelEndpoint(LazyClient["ModelClient"]):
    """Endpoint of one model."""

    def __init__(self, setting: str, model: LlmModel, timeouts: Timeouts, read_seconds: float) -> None:
        """`setting`: name for the advice in errors. `read_seconds`: maximum wait for the response."""

        def make_client() -> "ModelClient":
            from opportune.contrib.llm.providers.model_client import ModelClient  # httpx2 takes 0.2 s

            return ModelClient(setting, model, timeouts, read_seconds)

        super().__init__(make_client)

    async def post(self, path: str, max_bytes: int, **content: Any) -> tuple[str, bytes]:
        """Send JSON or a form, and return the media type and the body of the response.

        Raises:
            LlmError: The request failed.
        """
        return await (await self.open()).post(path, max_bytes, **content)


def json_in(content: bytes) -> Any:
    """Return the value of a JSON text; None for other content, also if it is nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
