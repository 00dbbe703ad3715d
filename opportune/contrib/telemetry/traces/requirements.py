"""Check the requirements of OpenTelemetry before importing it."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from dotenv import dotenv_values

from opportune.config.settings import Settings
from opportune.contrib.telemetry import INSTALL_TELEMETRY
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.errors import SettingsError
from opportune.project.layout import settings_class

MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def require_opentelemetry(settings: Settings) -> None:
    """Copy the variables `OTEL_…` of `.env` into the environment, where OpenTelemetry reads them.

    Raises:
        SettingsError: OpenTelemetry is not installed, or the protocol is not supported.
    """
    file = settings_class().model_config.get("env_file")
    values: Mapping[str, str | None] = dotenv_values(file) if isinstance(file, str | os.PathLike) else {}
    for name, value in values.items():
        if name.startswith("OTEL_") and value is not None:
            os.environ.setdefault(name, value)
    os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", settings.of(TelemetrySettings).otel_exporter_otlp_endpoint)
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf") == "grpc":
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: set it to http/protobuf and use its port, often 4318.")
    if not all(map(_is_installed, MODULES)):
        raise SettingsError(f"OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry's SDK. Install it: {INSTALL_TELEMETRY}")


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
