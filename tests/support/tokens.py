# SPDX-License-Identifier: Apache-2.0
"""Capability tokens as any Python program with PyNaCl makes and checks them."""

import base64
import datetime
import json
import os
import secrets

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

SIGNED = ("id", "subject", "action", "resource", "constraints", "issued_at", "expires_at",
          "issuer", "uses_remaining", "parent_id")


def stamp(seconds):
    """Now plus so many seconds, as tokens write it."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.isoformat()


def signed_bytes(token):
    return json.dumps({name: token[name] for name in SIGNED}, sort_keys=True).encode()


def river_key(home):
    """The home's own key, which every token it accepts is signed by."""
    with open(os.path.join(home, "secrets", "river.key"), encoding="utf-8") as file:
        return SigningKey(bytes.fromhex(json.load(file)["secret_key_hex"])[:32])


def make(key, subject, action, resource, expires_in=3600, **changes):
    token = {
        "id": "cap_" + secrets.token_hex(6), "subject": subject, "action": action,
        "resource": resource, "constraints": {}, "issued_at": stamp(0),
        "expires_at": stamp(expires_in), "issuer": "river", "uses_remaining": None,
        "parent_id": None, **changes,
    }
    token["signature"] = "ed25519:" + key.sign(signed_bytes(token)).signature.hex()
    return token


def verifies(token, verify_key):
    """verify_key: bytes or a VerifyKey."""
    if isinstance(verify_key, bytes):
        verify_key = VerifyKey(verify_key)
    try:
        verify_key.verify(signed_bytes(token),
                          bytes.fromhex(token["signature"].removeprefix("ed25519:")))
        return True
    except BadSignatureError:
        return False


def base64url(token, padding=False):
    text = base64.urlsafe_b64encode(json.dumps(token).encode()).decode()
    return text if padding else text.rstrip("=")
