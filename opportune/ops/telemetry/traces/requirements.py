"""Whether OpenTelemetry can be used: asked before anything of it is imported."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from dotenv import dotenv_values

from opportune.config.project import settings_class
from opportune.config.settings import Settings
from opportune.errors import SettingsError
from opportune.ops.telemetry import INSTALL_TELEMETRY

NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def require_opentelemetry(settings: Settings) -> None:
    """Take over what `.env` says of OTEL_…, which OpenTelemetry reads from the environment alone.

    Raises:
        SettingsError: it is not installed, or another protocol is asked for.
    """
    file = settings_class().model_config.get("env_file")
    given: Mapping[str, str | None] = dotenv_values(file) if isinstance(file, str | os.PathLike) else {}
    for name, value in given.items():
        if name.startswith("OTEL_") and value is not None:
            os.environ.setdefault(name, value)
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.otel_exporter_otlp_endpoint)
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") == "grpc":
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: write http/protobuf, and its port, which is often 4318.")
    if not all(map(_is_there, NEEDED)):
        raise SettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry's SDK. Install it: {INSTALL_TELEMETRY}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
