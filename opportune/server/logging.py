"""Configuration of logging. Each line has the id of its request or job, and its trace."""

import logging
from typing import Any

from opportune.config.settings import Settings
from opportune.server.log_file import open_log_file
from opportune.server.log_formats import LineFormatter, MaskedFormatter, open_json_formatter
from opportune.services.trace_context import job_id, trace_id
from opportune.web.middleware.request_log import request_id

VERBOSE_LOGGERS = ("uvicorn.error", "httpx2", "httpcore2", "mcp.client", "alembic", "asyncio", "botocore")
"""Loggers of libraries that log too much, or that log URLs with secrets."""


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if number := job_id.get():
            record.job_id = number
        if trace := trace_id():
            record.trace_id = trace
        return True


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
        "stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format, "filters": ["request_id"]}
    }
    if settings.environment == "development":
        formatters["masked"] = {"()": MaskedFormatter}
        handlers["file"] = {"()": open_log_file, "formatter": "masked", "filters": ["request_id"]}
    loggers = {name: {"level": max(level, logging.WARNING)} for name in VERBOSE_LOGGERS}
    if settings.database_echo:
        loggers["sqlalchemy.engine"] = {"level": logging.INFO}
    used_formatters = {handler["formatter"] for handler in handlers.values()}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {name: formatters[name] for name in used_formatters},
        "handlers": handlers,
        "root": {"handlers": [*handlers], "level": level},
        "loggers": loggers,
    }
