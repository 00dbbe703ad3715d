"""Settings of other MCP servers."""

from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from opportune.config.base_settings import BaseSettings
from opportune.config.llm_models import HeaderName, read_json_list


def _require_http(value: str) -> str:
    parts = urlsplit(value)
    is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and " " not in value
    if not is_valid or parts.username or parts.password:
        raise ValueError("must be an address such as https://mcp.example/mcp without a password")
    return value


def _require_line(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise ValueError("must be one line of printable ASCII characters")
    return value


_read_servers = partial(read_json_list, example='{"name": "a", "url": "https://a.example/mcp"}')
HeaderValue = Annotated[SecretStr, AfterValidator(_require_line)]


class McpServer(BaseModel):
    """MCP server whose tools the site's LLM answers may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")
    """Prefix of its tools: `weather` makes `weather_forecast`."""
    url: Annotated[str, AfterValidator(_require_http)] = Field(repr=False)
    token: HeaderValue = SecretStr("")
    """Bearer token for the header Authorization."""
    headers: dict[HeaderName, HeaderValue] = {}
    trust_read_only: bool = False
    """Run tools that the server declares as read-only without the user's approval."""

    def __str__(self) -> str:
        return self.name  # displayed with the settings; its URL can contain a key

    @property
    def sent_headers(self) -> dict[str, str]:
        token = self.token.get_secret_value()
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        return authorization | {name: value.get_secret_value() for name, value in self.headers.items()}


class McpSettings(BaseSettings):
    mcp_servers: Annotated[list[McpServer], NoDecode, BeforeValidator(_read_servers)] = Field(default=[], repr=False)
    """MCP servers whose tools LLM answers may use: [{"name": "weather", "url": "https://…", "token": "…"}]."""

    @field_validator("mcp_servers")
    @classmethod
    def _require_unique_names(cls, value: list[McpServer]) -> list[McpServer]:
        names = [server.name for server in value]
        if duplicate := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"contains {duplicate} twice")
        return value
