from pydantic import SecretStr, field_validator

from opportune.config.base_settings import BaseSettings
from opportune.config.host_names import is_http_url
from opportune.config.llm_models import EndpointUrl
from opportune.config.validated_settings import GENERATE_KEY_COMMAND
from opportune.jobs.schedules import CronExpression

MIN_METRICS_TOKEN_LENGTH = 20


class TelemetrySettings(BaseSettings):
    heartbeat_url: SecretStr = SecretStr("")
    """URL that is called while jobs run on time (https://hc-ping.com/…). The monitor reports missing calls."""
    heartbeat_schedule: CronExpression = "*/5 * * * *"
    """Schedule as a cron expression in UTC."""
    otel_exporter_otlp_endpoint: EndpointUrl = ""
    """An OpenTelemetry collector (http://127.0.0.1:4318) for traces and metrics. OTEL_… variables apply."""
    sentry_dsn: SecretStr = SecretStr("")
    """DSN for error reports at Sentry or a compatible service."""
    metrics_token: SecretStr = SecretStr("")
    """Bearer token with which Prometheus reads /metrics, 20 characters or more. Empty: /metrics is off."""

    @field_validator("heartbeat_url")
    @classmethod
    def _check_heartbeat_url(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not is_http_url(value.get_secret_value()):
            raise ValueError("must be an address such as https://hc-ping.com/…")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _check_metrics_token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if token and (len(token) < MIN_METRICS_TOKEN_LENGTH or not (token.isascii() and token.isprintable())):
            raise ValueError(f"must have 20 or more ASCII characters. Make one: {GENERATE_KEY_COMMAND}")
        return value
