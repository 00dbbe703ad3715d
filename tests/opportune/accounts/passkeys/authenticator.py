"""A fake device that creates and uses passkeys, and can falsify every part of a response."""

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

USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


def encode_base64url(value: bytes) -> str:
    """Encode bytes as base64url without padding, as browsers do."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@dataclass
class Authenticator:
    """A passkey in a browser at `origin`."""

    origin: str = "http://testserver"
    rp_id: str = "testserver"
    verifies: bool = True
    """Whether the device verifies the user."""
    sign_count: int = 0
    """Number of uses. It stays 0 without `has_sign_count`, as for synced passkeys."""
    has_sign_count: bool = True
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: str = ""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(
        self,
        options: dict[str, Any],
        *,
        key: bytes = b"",
        statement: Mapping[str, Any] | None = None,
        **false_data: Any,
    ) -> str:
        """Return the attestation for these options, optionally with another public key or attestation statement."""
        public_key = options["publicKey"]
        self.user_handle = public_key["user"]["id"]
        credential_data = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id
        data = self._data(HAS_CREDENTIAL) + credential_data + (key or self._public_key())
        encoded = cbor2.dumps({"fmt": "none", "attStmt": {}, **(statement or {}), "authData": data})
        client_data = self._client("webauthn.create", public_key["challenge"])
        fields = {"clientDataJSON": client_data, "attestationObject": encoded, "transports": ["internal", "nonsense"]}
        return self._to_json(options, fields, false_data)

    def sign(self, options: dict[str, Any], **false_data: Any) -> str:
        """Return the assertion for these options."""
        if self.has_sign_count:
            self.sign_count += 1
        client_data, data = self._client("webauthn.get", options["publicKey"]["challenge"]), self._data()
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        fields = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
        return self._to_json(options, {**fields, "userHandle": self.user_handle}, false_data)

    def _to_json(self, options: dict[str, Any], fields: dict[str, Any], false_data: dict[str, Any]) -> str:
        encoded = {name: encode_base64url(value) for name, value in fields.items() if isinstance(value, bytes)}
        id_ = encode_base64url(self.credential_id)
        credential = {"id": id_, "rawId": id_, "type": "public-key", "response": {**fields, **encoded, **false_data}}
        return json.dumps({"state": options["state"], "credential": credential})

    def _client(self, type_: str, challenge: str) -> bytes:
        return json.dumps({"type": type_, "challenge": challenge, "origin": self.origin}).encode()

    def _data(self, flags: int = 0) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + struct.pack(">BI", flags, self.sign_count)

    def _public_key(self) -> bytes:
        numbers = self.key.public_key().public_numbers()
        x, y = (item.to_bytes(32, "big") for item in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
