"""Logging as text or JSON. Each line has the id of its request or job, and its trace."""

import logging
from typing import Any

from opportune.config.settings import Settings, get_settings
from opportune.server.log_file import open_log_file
from opportune.services.trace_context import job_id, trace_id
from opportune.web.errors.debug_page import build_report
from opportune.web.errors.secret_mask import SecretMask
from opportune.web.middleware.request_log import request_id

VERBOSE_LOGGERS = ("uvicorn.error", "httpx2", "httpcore2", "mcp.client", "alembic", "asyncio", "botocore")
"""Loggers of libraries that log too much, or that log URLs with secrets."""
MAX_TRACE_LENGTH = 20_000


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if number := job_id.get():
            record.job_id = number
        if trace := trace_id():
            record.trace_id = trace
        return True


class LineFormatter(logging.Formatter):
    """Writes one line per message and indents tracebacks, so that user input cannot forge log lines."""

    _second, _formatted_second = 0, ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        if self._second != int(record.created):  # cached, because a busy second has hundreds of lines
            self._second = int(record.created)
            self._formatted_second = self.formatTime(record, self.default_time_format)
        job = getattr(record, "job_id", 0)
        ids = (getattr(record, "request_id", ""), f"job {job}" if job else "", getattr(record, "trace_id", ""))
        origin = " ".join(filter(None, (record.name, *ids)))
        moment = f"{self._formatted_second},{record.msecs:03.0f}"
        return escape_control_chars(f"{moment} {record.levelname:7} {record.message}  [{origin}]")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if "\n" not in text:
            return text
        line, *trace = text.split("\n")
        return "\n  ".join([line, *map(escape_control_chars, trace)])

    def formatException(self, ei: Any) -> str:
        return mask_trace(super().formatException(ei))


def open_json_formatter(**options: Any) -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # LOG_FORMAT=text does not need it

    class MaskedJsonFormatter(JsonFormatter):
        def formatException(self, ei: Any) -> str:
            return mask_trace(logging.Formatter.formatException(self, ei))

    return MaskedJsonFormatter(**options)


def mask_trace(trace: str) -> str:
    """Mask secrets in the messages of exceptions, and shorten them: a message can contain what a user has sent."""
    return SecretMask.of(get_settings()).mask_text(trace[-MAX_TRACE_LENGTH:])


class MaskedFormatter(LineFormatter):
    """Masks secrets in all lines, and adds the variables of the failing line, as the debug page does."""

    def formatException(self, ei: Any) -> str:
        report = build_report(ei[1], get_settings())
        variables = (f"  {name} = {value}" for name, value in report.variables.items())
        return "\n".join([super().formatException(ei), f"Variables in {report.function}:", *variables])

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have cached the traceback, and must not print the variables.
        record.exc_text, cached_text = None, record.exc_text
        text = super().format(record)
        record.exc_text = cached_text
        return SecretMask.of(get_settings()).mask_text(text)


def escape_control_chars(text: str) -> str:
    """Escape characters that would move the cursor, end the line or change the text direction."""
    if text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(char: str) -> str:
    if char.isprintable() or char == "\t":
        return char
    return ascii(char)[1:-1]  # without quotes


def logging_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig` and for uvicorn, which applies it in each worker."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # The formats do not use these fields, and collecting them takes time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    formatters: dict[str, dict[str, Any]] = {
        "text": {"()": LineFormatter},
        "json": {
            "()": open_json_formatter,
            "fmt": "%(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "timestamp": True,
        },
    }
    handlers: dict[str, Any] = {
        "stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format, "filters": ["request_number"]}
    }
    if settings.environment == "development":
        formatters["masked"] = {"()": MaskedFormatter}
        handlers["file"] = {"()": open_log_file, "formatter": "masked", "filters": ["request_number"]}
    loggers = {name: {"level": max(level, logging.WARNING)} for name in VERBOSE_LOGGERS}
    if settings.database_echo:
        loggers["sqlalchemy.engine"] = {"level": logging.INFO}
    used_formatters = {handler["formatter"] for handler in handlers.values()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_number": {"()": RequestIdFilter}},
        "formatters": {name: formatters[name] for name in used_formatters},
        "handlers": handlers,
        "root": {"handlers": [*handlers], "level": level},
        "loggers": loggers,
    }
