"""A fake device that creates and shows passkeys, and can falsify every part of a response."""

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
    """Encode bytes as browsers do."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@dataclass
class Authenticator:
    """A passkey in a browser at `origin`."""

    origin: str = "http://testserver"
    rp_id: str = "testserver"
    verifies: bool = True
    """Whether the device verifies the user."""
    count: int = 0
    """Number of uses; 0 if `counts` is off, as for synced passkeys."""
    counts: bool = True
    number: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(
        self,
        question: dict[str, Any],
        *,
        key: bytes = b"",
        statement: Mapping[str, Any] | None = None,
        **false_data: Any,
    ) -> str:
        """Return the attestation for a question, optionally with another public key or attestation statement."""
        options = question["publicKey"]
        self.handle = options["user"]["id"]
        numbered = bytes(16) + struct.pack(">H", len(self.number)) + self.number
        data = self._data(HOLDS_KEY) + numbered + (key or self._public_key())
        created = cbor2.dumps({"fmt": "none", "attStmt": {}, **(statement or {}), "authData": data})
        client = self._client("webauthn.create", options["challenge"])
        told = {"clientDataJSON": client, "attestationObject": created, "transports": ["internal", "nonsense"]}
        return self._answer(question, told, false_data)

    def show(self, question: dict[str, Any], **false_data: Any) -> str:
        """Return the assertion for a question."""
        if self.counts:
            self.count += 1
        client, data = self._client("webauthn.get", question["publicKey"]["challenge"]), self._data()
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        told = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer(question, {**told, "userHandle": self.handle}, false_data)

    def _answer(self, question: dict[str, Any], told: dict[str, Any], false_data: dict[str, Any]) -> str:
        response = {name: as_text(value) if isinstance(value, bytes) else value for name, value in told.items()}
        number = as_text(self.number)
        credential = {"id": number, "rawId": number, "type": "public-key", "response": {**response, **false_data}}
        return json.dumps({"state": question["state"], "credential": credential})

    def _client(self, type_: str, challenge: str) -> bytes:
        return json.dumps({"type": type_, "challenge": challenge, "origin": self.origin}).encode()

    def _data(self, flags: int = 0) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = (item.to_bytes(32, "big") for item in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
