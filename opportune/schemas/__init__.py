"""Base class of request and response schemas."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic.warnings import UnsupportedFieldAttributeWarning
from pydantic_core import SchemaError

# FastAPI passes the aliases of a route's parameters to Pydantic, which warns about them. FastAPI suppresses the warning
# only while it builds routes, but schemas are also built later.
warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
# Fields may have the names of deprecated methods of Pydantic, because nothing calls these.
warnings.filterwarnings("ignore", 'Field name "(construct|copy|dict|json|schema|validate)" in .* shadows')

MAX_REPORTED_ERRORS = 5


class Schema(BaseModel):
    """Pydantic model that is built on its first use, so that the site starts faster.

    Errors in the types of fields are also raised on the first use. `oppman.py check` reports them earlier. Rows and
    other objects are read by their attributes.
    """

    model_config = ConfigDict(defer_build=True, from_attributes=True)

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the title of a generic schema in OpenAPI, such as `PageBookRead`."""
        return re.sub(r"\W", "", cls.__name__ + "".join(getattr(param, "__name__", str(param)) for param in params))


def schema_faults(base: type[BaseModel] = Schema) -> Iterator[str]:
    """Yield one line per schema that cannot be built."""
    for schema in base.__subclasses__():
        try:
            schema.model_rebuild()
        except (PydanticUndefinedAnnotation, PydanticUserError) as error:
            yield f"{schema.__module__}.{schema.__name__}: {error.message.partition(chr(10))[0]}"
        yield from schema_faults(schema)


def field_faults(model: type[BaseModel]) -> Iterator[str]:
    """Yield one line per wrong default of a table, or one for a wrong constraint. SQLModel validates neither."""
    name = f"{model.__module__}.{model.__name__}"
    fields = model.model_fields.items()
    declared: dict[str, Any] = {field: (info.annotation, info) for field, info in fields}
    config = ConfigDict(arbitrary_types_allowed=True, validate_default=True)
    try:
        create_model(model.__name__, __config__=config, **declared)()
    except ValidationError as error:
        for fault in error.errors():
            if fault["type"] != "missing" and fault["input"] is not None:
                yield f"{name}.{fault['loc'][0]}: the default is wrong. {fault['msg']}."
    except (PydanticUserError, SchemaError, TypeError) as error:
        yield f"{name} has a wrong option of Field(…): {' '.join(str(error).split())}"


def describe_errors(error: ValidationError) -> str:
    """Return validation errors as text for a language model, such as `year: Input should be a valid integer.`"""
    errors = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_REPORTED_ERRORS]
    sentences = []
    for fault in errors:
        field = ".".join(map(str, fault["loc"])) or "It"
        sentences.append(f"{field}: {fault['msg']}.")
    return " ".join(sentences)
