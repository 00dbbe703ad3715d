"""The base of what forms and the API take and answer."""

import warnings
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic.warnings import UnsupportedFieldAttributeWarning

# FastAPI tells Pydantic the names of a route's parameters, and does this for as long as it takes it to build them.
warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)


MAX_FAULTS = 5


class Schema(BaseModel):
    """Pydantic's BaseModel, built with its first use: a site has many, and its start need not wait for each.

    What Pydantic cannot do with a field's type is told then, and by `oppman.py check`.
    """

    model_config = ConfigDict(defer_build=True)


def schema_faults(base: type[BaseModel] = Schema) -> Iterator[str]:
    """A line for each schema that cannot be built."""
    for schema in base.__subclasses__():
        try:
            schema.model_rebuild()
        except (PydanticUndefinedAnnotation, PydanticUserError) as error:
            yield f"{schema.__module__}.{schema.__name__}: {error.message.partition(chr(10))[0]}"
        yield from schema_faults(schema)


def faults_in_words(error: ValidationError) -> str:
    """What Pydantic finds wrong, for a model that is to mend it: `year: Input should be a valid integer.`"""
    faults = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_FAULTS]
    return " ".join(f"{'.'.join(map(str, fault['loc'])) or 'It'}: {fault['msg']}." for fault in faults)
