"""MCP servers of others, by settings."""

import json
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from opportune.config.base_settings import BaseSettings


def _require_http(value: str) -> str:
    parts = urlsplit(value)
    is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in value
    if not is_whole or parts.username or parts.password:
        raise ValueError("must be an address such as https://mcp.example/mcp, without a password in it")
    return value


def _require_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be a line of letters, digits and signs that a header takes")
    return value


HeaderName = Annotated[str, Field(pattern=r"^[\w!#$%&'*+.^`|~-]+$")]
HeaderValue = Annotated[SecretStr, AfterValidator(_require_line)]


class McpServer(BaseModel):
    """A server of others whose tools the site's answers may have called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")
    """Begins the names of its tools: `weather` makes `weather_forecast`."""
    url: Annotated[str, AfterValidator(_require_http)] = Field(repr=False)
    token: HeaderValue = SecretStr("")
    """Sent as Authorization: Bearer."""
    headers: dict[HeaderName, HeaderValue] = {}
    trust_read_only: bool = False
    """Whether its word counts that a tool only reads: that one then runs without asking the person."""

    def __str__(self) -> str:
        return self.name  # where settings are shown: its address may have a key in it

    @property
    def sent_headers(self) -> dict[str, str]:
        token = self.token.get_secret_value()
        own = {"Authorization": f"Bearer {token}"} if token else {}
        return own | {name: value.get_secret_value() for name, value in self.headers.items()}


class McpSettings(BaseSettings):
    mcp_servers: Annotated[list[McpServer], NoDecode] = Field(default=[], repr=False)
    """MCP servers of others whose tools answers may use: [{"name": "weather", "url": "https://…", "token": "…"}]."""

    @field_validator("mcp_servers", mode="before")
    @classmethod
    def _is_a_list(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            read: Any = json.loads(value or "[]")
        except ValueError:
            read = None
        if not isinstance(read, list):
            raise ValueError('must be a JSON list such as [{"name": "weather", "url": "https://mcp.example/mcp"}]')
        return read

    @field_validator("mcp_servers")
    @classmethod
    def _differ(cls, value: list[McpServer]) -> list[McpServer]:
        names = [server.name for server in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{twice} is there twice")
        return value
