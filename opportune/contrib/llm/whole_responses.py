"""Endpoints that respond as a whole, such as those for embeddings and pictures, and the results in their responses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.error_reader import error_in, filter_error
from opportune.contrib.llm.providers.errors import NOT_ACCEPTED
from opportune.contrib.llm.providers.events import EventReader
from opportune.contrib.llm.providers.loose_json import count_in, json_in, objects_in, plain_key
from opportune.contrib.llm.providers.provider import LlmError, Timeouts
from opportune.contrib.llm.providers.refused_parameters import RefusedParameters
from opportune.contrib.llm.providers.remote import connect, url_of

CONTAINERS = (
    "artifacts", "channels", "data", "result", "results", "output", "predictions", "candidates", "choices",
    "message", "response", "content", "parts", "inlinedata",
)  # fmt: skip
"""Fields around the results of various endpoints."""
MAX_DEPTH = 10
"""Levels of objects and lists around a result."""


class ModelEndpoint:
    """Endpoint of a model that answers as a whole, such as one for embeddings."""

    def __init__(self, setting: str, model: LlmModel, timeouts: Timeouts, read_seconds: float) -> None:
        """`setting`: name for the advice in errors. `read_seconds`: maximum wait for the response."""
        self._setting = setting
        self._base_url = model.base_url
        self._client = connect(model, replace(timeouts, first=read_seconds, idle=read_seconds))

    async def close(self) -> None:
        await self._client.close()

    async def post(
        self, path: str, max_bytes: int, *, json: Mapping[str, Any] | None = None, **form: Any
    ) -> tuple[str, bytes]:
        """Send JSON or a form, and return the media type and the body of the response.

        Raises:
            LlmError: The request failed.
        """
        client = await self._client.open()
        parameters = RefusedParameters(url_of(self._base_url, path), json or {})
        try:
            content_type, body = await client.read(parameters, max_bytes, **form)
        except LlmError as error:
            # A batch of texts that is too long is divided like another one that is rejected.
            is_refused = error.code in ("rejected", "context_too_long")
            error = LlmError("rejected", NOT_ACCEPTED, error.retry_after) if is_refused else error
            raise self._with_advice(error) from None
        if body is None:
            raise LlmError("malformed", f"{self._setting}: the response of the endpoint is too long.")
        return content_type, body

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Return the content of a link in a response; none if it cannot be followed."""
        return await (await self._client.open()).fetch(url, max_bytes)

    def failure(self, value: object, sentence: str) -> LlmError:
        """Return the error that a response without a result reports, also with status 200."""
        reported = (error_in(item) for item in objects_in(value))
        error = next(filter(None, reported), None) or filter_error(value) or LlmError("malformed", sentence)
        return self._with_advice(error)

    def _with_advice(self, error: LlmError) -> LlmError:
        return LlmError(error.code, error.args[0], error.retry_after, advice=f"Check {self._setting}.")


def content_of(body: bytes) -> Any:
    """Return the JSON of a response; of one that comes as events, a list of them. None for other content."""
    value = json_in(body)
    if value is not None or not body.lstrip().startswith((b"data:", b"event:", b"{")):
        return value
    reader = EventReader(max_line_bytes=len(body))
    try:
        values = [event.value for event in (*reader.feed(body), *reader.finish()) if event.value]
    except LlmError:
        return None
    is_text = body.lstrip().startswith(b"{") and not values  # such as a transcript, or incomplete JSON
    return None if is_text else values


def results_in(value: Any, names: Sequence[str]) -> list[Any]:
    """Return the results in a response: the values of fields with these names, in any case and with underscores.

    Endpoints put results into various objects and lists, so a field may contain objects with such a field again. In
    each object, the first of the names with a value counts. Of events, the last one may repeat the results of others.
    """
    names = (*names, *CONTAINERS)
    ends = [event for event in objects_in(value) if str(event.get("type")).endswith(("done", "completed"))]
    whole = [event for event in ends if not {*map(plain_key, event)}.isdisjoint(names)]
    return _results_in(whole or value, names, MAX_DEPTH)


def _results_in(value: Any, names: Sequence[str], depth: int) -> list[Any]:
    if isinstance(value, dict) and depth:
        fields = {plain_key(name): item for name, item in value.items()}
        if not fields.keys().isdisjoint(names):
            results = (_results_in(fields[name], names, depth - 1) for name in names if name in fields)
            return next(filter(None, results), [])
    if isinstance(value, list) and value and depth and isinstance(value[0], list | dict):
        if all(isinstance(item, dict) for item in value):
            value = sorted(value, key=lambda item: count_in(item.get("index", item.get("text_index"))) or 0)
        return [result for item in value for result in _results_in(item, names, depth - 1)]
    return [] if value in (None, "", [], {}) else [value]
