"""JSON of rows and results of queries that a route returns. FastAPI would return their internal attributes.

FastAPI has one table of encoders, so they also apply to other applications of the process.
"""

from typing import Any

from fastapi.encoders import encoders_by_class_tuples, jsonable_encoder
from sqlalchemy import MappingResult, Result, Row, ScalarResult


def encode_row(row: Row[Any]) -> Any:
    return jsonable_encoder(row._asdict())


def encode_result(result: Result[Any] | ScalarResult[Any] | MappingResult) -> Any:
    return jsonable_encoder(result.all())


def add_encoders() -> None:
    encoders_by_class_tuples.update({encode_row: (Row,), encode_result: (Result, ScalarResult, MappingResult)})
