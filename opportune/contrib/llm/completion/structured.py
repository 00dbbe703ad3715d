"""Structured answers: instances of a Pydantic model, or of another type such as a list of them."""

import json
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from types import UnionType
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, RootModel, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, from_json

from opportune.contrib.llm.providers.loose_json import FENCE, json_in, json_objects_in, missing_brackets, objects_in
from opportune.contrib.llm.providers.provider import Chunks, Done, LlmError, Message
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.schemas import describe_errors
from opportune.schemas.text import require_storable_json

T = TypeVar("T")

SCHEMA_RULE = "Answer with one JSON object that follows this JSON Schema, and with nothing else:\n{}"
CORRECTION = "That does not follow the schema. {} Answer with the whole corrected JSON object, and with nothing else."
MAX_CORRECTED_CHARS = 20_000
"""Characters of an invalid answer that are sent back."""
UPDATES_PER_LENGTH = 50
"""An answer is read again when it has grown by this part of its length, because each time it is read as a whole."""
MALFORMED = _l("The model's answer did not have the requested form. Try again.")
REFUSED = _l("The model's answer did not have the requested form. It wrote: %(answer)s")
MAX_QUOTED_CHARS = 200
"""Characters of a refusal that are shown."""
BRACKETS = re.compile(r"[{\[]")
STORABLE: TypeAdapter[Any] = TypeAdapter(Annotated[Any, AfterValidator(require_storable_json)])
CUT_OFF = _l("The model's answer is too long and was cut off. Ask for less.")
CUT_OFF_ADVICE = "Raise max_answer_tokens in LLM_MODELS."

Ask = Callable[[Sequence[Message], Mapping[str, Any]], Chunks]
"""Returns the answer to messages and a JSON Schema."""


async def parsed_values(
    ask: Ask, messages: Sequence[Message], into: type[T], attempts: int, *, with_partials: bool = False
) -> AsyncGenerator[T, None]:
    """Ask until the answer is valid, and yield its value. Further attempts contain the errors of the last answer.

    Args:
        ask: Returns the answer to messages and a JSON Schema.
        messages: The conversation.
        into: Type of the result.
        attempts: Maximum number of calls.
        with_partials: Yield incomplete values while the answer arrives.

    Raises:
        LlmError: All answers were invalid ("malformed"), one was cut off ("out_of_tokens"), or a call failed.
    """
    type_ = AnswerType(into)
    conversation = [Message("system", SCHEMA_RULE.format(json.dumps(type_.schema))), *messages]
    text = ""
    for _ in range(attempts):
        text = ""
        read_length = 0
        is_truncated = False
        async with aclosing(ask(conversation, type_.schema)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    is_truncated = chunk.truncated
                elif isinstance(chunk, str):
                    text += chunk
                if with_partials and len(text) - read_length > len(text) // UPDATES_PER_LENGTH:
                    read_length = len(text)
                    partial = type_.read_partial(text)
                    if partial is not None:
                        yield partial
        try:
            value = type_.read(text, is_whole=not is_truncated)
        except ValidationError as error:
            if is_truncated:  # a further answer would have the same limit
                raise LlmError("out_of_tokens", CUT_OFF, advice=CUT_OFF_ADVICE) from None
            correction = CORRECTION.format(describe_errors(error))
            conversation += [Message("assistant", text[:MAX_CORRECTED_CHARS]), Message("user", correction)]
        else:
            yield value
            return
    raise LlmError("malformed", _refusal_in(text) or MALFORMED)


def _refusal_in(text: str) -> str:
    """Return a sentence with the words of a model that gave no data; empty if it gave data, or no words."""
    words = " ".join(text.split())
    return gettext(REFUSED, answer=words[:MAX_QUOTED_CHARS]) if words and not BRACKETS.search(words) else ""


class AnswerType(Generic[T]):
    """Type of an answer, with its JSON Schema."""

    def __init__(self, into: type[T]) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(into)
        schema = adapter.json_schema()
        if "$ref" in schema:  # a recursive model
            schema |= schema["$defs"][schema.pop("$ref").rpartition("/")[2]]
        self._is_object = schema.get("type") == "object"
        # Endpoints require an object.
        model = into if self._is_object else create_model("Answer", result=(into, ...))
        self._nested = _nested_model(model)
        self._adapter = adapter if self._is_object else TypeAdapter(model)
        self.schema = schema if self._is_object else self._adapter.json_schema()
        self._partial_reader = PartialReader()

    def read(self, text: str, *, is_whole: bool) -> T:
        """Return the value of an answer.

        Raises:
            ValidationError: It does not follow the schema.
        """
        try:
            return self._result(self._validate(self._json_in(text)))
        except ValidationError:
            value = self._validate_candidates(text) if is_whole else None
            if value is None:
                raise
            return self._result(value)

    def _validate_candidates(self, text: str) -> Any:
        """Return the value in a text; None if there is none, or if there are several."""
        values = [value for value in map(self._first_valid, self._candidates(text)) if value is not None]
        return values[0] if values and values.count(values[0]) == len(values) else None

    def _first_valid(self, options: Sequence[object]) -> Any:
        for option in options:
            with suppress(ValidationError):
                return self._validate(json.dumps(option))
        return None

    def _validate(self, text: str) -> Any:
        value = self._adapter.validate_json(text)
        data = STORABLE.validate_json(text)
        if _has_other_fields(self._result(value), data if self._is_object else data["result"]):
            error = PydanticCustomError("other_fields", "It has none of the fields.")
            raise ValidationError.from_exception_data("Answer", [{"type": error, "input": data}])
        return value

    def _candidates(self, text: str) -> Iterator[Sequence[object]]:
        """Yield the readings of each value in the text, which may be in an additional object, list or code fence."""
        text = FENCE.sub("", text)
        value = json_in(text.strip())
        text = value if isinstance(value, str) else text
        if missing_brackets(text[: max(text.rfind("}"), text.rfind("]")) + 1]):  # the answer was cut off
            return
        items = [*filter(None, json_objects_in(text, is_prose=True))]
        if not self._is_object:
            values = [value for item in items for value in item.values()]
            if items and not any("result" in item for item in items):
                values = [items, *items, *values]
            if not BRACKETS.search(text):  # a choice, number or date
                values = [text.strip() if value is None else value]
            yield [*json_objects_in(self._json_in(text)), *({"result": value} for value in values)]
            return
        for item in items:
            inner = [item.get("properties"), *(item.values() if len(item) == 1 else ())]
            yield [item, *objects_in(inner)]

    def read_partial(self, text: str) -> T | None:
        """Return the value of the beginning of an answer; None if it has none yet."""
        try:
            data = from_json(self._json_in(text, is_partial=True), allow_partial="trailing-strings")
        except ValueError:  # no JSON, or nested too deeply
            return None
        if self._nested is None or not isinstance(data, dict) or not data:
            return None
        return self._result(self._partial_reader.read(self._nested.model, data))

    def _result(self, value: Any) -> T:
        result: T = value if self._is_object else value.result
        return result

    def _json_in(self, text: str, *, is_partial: bool = False) -> str:
        """Return the JSON object without text and code fences around it. Some models omit the object around a list."""
        start = text.find("{")
        list_start = text.find("[")
        is_list = list_start > -1 and (start == -1 or list_start < start)
        if is_list and not self._is_object:
            if is_partial:
                return f'{{"result": {text[list_start:]}'
            return f'{{"result": {text[list_start : text.rfind("]") + 1]}}}'
        end = None if is_partial else text.rfind("}") + 1
        return text[max(start, 0) : end]


def _has_other_fields(value: object, data: object) -> bool:
    """Return True for a model of defaults, or a list with one, that was read from an object with other fields."""
    if isinstance(value, list) and isinstance(data, list):
        return any(map(_has_other_fields, value, data))
    return isinstance(value, BaseModel) and not value.model_fields_set and bool(data)


class PartialReader:
    """Reads incomplete data. Fields that are missing or not yet valid have their default, or None."""

    def __init__(self) -> None:
        self._adapters: dict[tuple[type[BaseModel], str], TypeAdapter[Any]] = {}

    def read(self, model: type[BaseModel], data: Mapping[str, Any]) -> BaseModel:
        values: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            key = field.validation_alias if isinstance(field.validation_alias, str) else name
            if key in data:
                values[name] = self._read_field(model, name, field, data[key])
            elif field.is_required():
                values[name] = None
        return model.model_construct(**values)

    def _read_field(self, model: type[BaseModel], name: str, field: FieldInfo, value: object) -> Any:
        nested = _nested_model(field.annotation)
        if nested and nested.is_list and isinstance(value, list):
            return [self.read(nested.model, item) for item in value if isinstance(item, dict)]
        if nested and isinstance(value, dict):
            return self.read(nested.model, value)
        adapter = self._adapters.get((model, name))
        if adapter is None:
            annotated: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            adapter = self._adapters[model, name] = TypeAdapter(annotated)
        try:
            return adapter.validate_python(value, experimental_allow_partial=True)
        except ValidationError:
            return None


class _NestedModel(NamedTuple):
    model: type[BaseModel]
    is_list: bool = False


def _nested_model(annotation: object) -> _NestedModel | None:
    """Return the only model of a field, or of the items of its list."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin is Annotated:
        return _nested_model(arguments[0])
    if origin in (Union, UnionType):
        models = [*filter(None, map(_nested_model, arguments))]
        return models[0] if len(models) == 1 else None
    if origin is list:
        item = _nested_model(arguments[0])
        return _NestedModel(item.model, is_list=True) if item and not item.is_list else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel):
        return _NestedModel(annotation)
    return None
