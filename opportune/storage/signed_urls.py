"""Signed URLs of this site, which open one file for a limited time."""

import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, urlencode

from opportune.config.settings import Settings
from opportune.config.signing import derived_keys

FILES_PATH = "/files"


@dataclass(frozen=True)
class UrlSigner:
    """Signs the name of a file, the time of expiry and the name for downloads."""

    keys: Sequence[str]
    """The first key signs. URLs signed with the other, older keys remain valid."""

    @classmethod
    def of(cls, settings: Settings) -> "UrlSigner":
        return cls(derived_keys(settings, "files"))

    def sign_url(self, name: str, seconds: int, download_as: str = "") -> str:
        until = str(int(time.time()) + seconds)
        query = {"until": until, "signature": self.signatures(name, until, download_as)[0]}
        if download_as:
            query["as"] = download_as
        return f"{FILES_PATH}/{quote(name)}?{urlencode(query)}"

    def signatures(self, name: str, until: str, download_as: str) -> list[str]:
        message = f"{until}\n{name}\n{download_as}".encode(errors="surrogatepass")
        return [hmac.new(key.encode(), message, sha256).hexdigest() for key in self.keys]

    def is_valid(self, signature: str, name: str, until: str, download_as: str) -> bool:
        """Return True if the signature is valid. The URL may have expired."""
        signature_bytes, valid = signature.encode(errors="replace"), self.signatures(name, until, download_as)
        return any(hmac.compare_digest(signature_bytes, valid_signature.encode()) for valid_signature in valid)
