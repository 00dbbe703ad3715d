"""A device that makes and shows passkeys as browsers tell of them, and can be made to lie in every part."""

import base64
import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, HOLDS_KEY = 0x01, 0x04, 0x40


def as_text(value: bytes) -> str:
    """As browsers write what is binary."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@dataclass
class Authenticator:
    """One passkey, in a browser at `origin`."""

    origin: str = "http://testserver"
    rp_id: str = "testserver"
    verifies: bool = True
    """Whether it asks for a finger or a PIN."""
    count: int = 0
    """Uses so far; stays 0 where `counts` is off, as synced passkeys do."""
    counts: bool = True
    number: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(
        self, question: dict[str, Any], *, key: bytes = b"", statement: Mapping[str, Any] | None = None, **lies: Any
    ) -> str:
        """The answer to what the site asks a device to make; with another public key, or word of its maker."""
        options = question["publicKey"]
        self.handle = options["user"]["id"]
        numbered = bytes(16) + struct.pack(">H", len(self.number)) + self.number
        data = self._data(HOLDS_KEY) + numbered + (key or self._public_key())
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, **(statement or {}), "authData": data})
        client = self._client("webauthn.create", options["challenge"])
        told = {"clientDataJSON": client, "attestationObject": made, "transports": ["internal", "nonsense"]}
        return self._answer(question, told, lies)

    def show(self, question: dict[str, Any], **lies: Any) -> str:
        """The answer to what the site asks a device to show."""
        if self.counts:
            self.count += 1
        client, data = self._client("webauthn.get", question["publicKey"]["challenge"]), self._data()
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        told = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer(question, {**told, "userHandle": self.handle}, lies)

    def _answer(self, question: dict[str, Any], told: dict[str, Any], lies: dict[str, Any]) -> str:
        response = {name: as_text(value) if isinstance(value, bytes) else value for name, value in told.items()}
        number = as_text(self.number)
        credential = {"id": number, "rawId": number, "type": "public-key", "response": {**response, **lies}}
        return json.dumps({"state": question["state"], "credential": credential})

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _data(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = (each.to_bytes(32, "big") for each in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
