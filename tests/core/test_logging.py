import json
import logging
import logging.config
from typing import Literal

import pytest

from app.core.logging import logging_config
from app.core.web.edge import request_id
from tests.conftest import settings_for


def log(capsys: pytest.CaptureFixture[str], log_format: Literal["text", "json"], message: str) -> str:
    """What stderr gets for one message."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    settings = settings_for("sqlite:///x.db").model_copy(update={"log_format": log_format})
    try:
        logging.config.dictConfig(logging_config(settings))
        token = request_id.set("request-1")
        logging.getLogger("app.test").warning("%s", message, extra={"status": 200})
        request_id.reset(token)
    finally:
        root.handlers[:], root.level = handlers, level
    return capsys.readouterr().err


def test_a_line_of_text_names_its_logger_and_request(capsys: pytest.CaptureFixture[str]) -> None:
    line = log(capsys, "text", "hello")
    assert "WARNING hello  [app.test request-1]" in line


def test_what_a_visitor_typed_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert log(capsys, "text", "a\r\n2026 INFO forged").count("\n") == 1


def test_json_has_the_fields_that_were_logged(capsys: pytest.CaptureFixture[str]) -> None:
    entry = json.loads(log(capsys, "json", "a\nb"))
    assert entry["message"] == "a\nb"
    assert (entry["level"], entry["logger"], entry["request_id"], entry["status"]) == (
        "WARNING",
        "app.test",
        "request-1",
        200,
    )
