"""Access to an endpoint with OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True)
class Access:
    """URL of an endpoint, and what its requests need.

    Attributes:
        url: Address without the path of a request.
        api_key: Key, or an empty one.
        headers: Additional headers.
        through_proxy: Respect the proxy variables of the environment.
    """

    url: str
    api_key: SecretStr
    headers: Mapping[str, str] = field(default_factory=dict)
    through_proxy: bool = True
