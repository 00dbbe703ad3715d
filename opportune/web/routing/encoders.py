"""JSON of rows and results of queries that a route returns. FastAPI would return their internal attributes."""

from typing import Any

from fastapi.encoders import encoders_by_class_tuples, jsonable_encoder
from sqlalchemy import Result, Row, ScalarResult


def encode_row(row: Row[Any]) -> Any:
    return jsonable_encoder(row._asdict())


def encode_result(result: Result[Any] | ScalarResult[Any]) -> Any:
    return jsonable_encoder(result.all())


def add_encoders() -> None:
    encoders_by_class_tuples.update({encode_row: (Row,), encode_result: (Result, ScalarResult)})
