#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes capabilities.json: tokens and canonical JSON as a Python program with PyNaCl makes them.

Needs python3-nacl. The output is committed; run this only to change the vectors:
    tests/vectors/make_capabilities.py [FILE]
"""
import base64
import fnmatch
import json
import math
import pathlib
import random
import struct
import sys

from nacl.signing import SigningKey

KEY = SigningKey(bytes(range(32)))
OTHER_KEY = SigningKey(bytes(range(1, 33)))
SIGNED = ("id", "subject", "action", "resource", "constraints", "issued_at", "expires_at",
          "issuer", "uses_remaining", "parent_id")
ALPHABET = "ab-]![[***??c:é😀"


def signed_bytes(token):
    defaults = {"constraints": {}, "uses_remaining": None, "parent_id": None}
    members = {name: token.get(name, defaults.get(name)) for name in SIGNED}
    return json.dumps(members, sort_keys=True).encode()


def sign(token, key=KEY):
    token = dict(token)
    token["signature"] = "ed25519:" + key.sign(signed_bytes(token)).signature.hex()
    return token


def plain(**changes):
    token = {
        "id": "cap_0123456789ab", "subject": "agent:kasra", "action": "memory:write",
        "resource": "memory:agent:kasra/*", "constraints": {},
        "issued_at": "2026-01-02T03:04:05.678901Z", "expires_at": "2036-01-02T03:04:05Z",
        "issuer": "river", "uses_remaining": None, "parent_id": None,
    }
    token.update(changes)
    return token


def vector(name, token, status="ok", text=None, resource="memory:agent:kasra/new",
           subject="agent:kasra", action="memory:write"):
    return {"name": name, "token": text if text is not None else json.dumps(token),
            "signed": signed_bytes(token).decode() if token else None, "status": status,
            "action": action, "resource": resource, "subject": subject}


def valid_tokens():
    yield vector("plain", sign(plain()))
    yield vector("compact text", None, text=json.dumps(sign(plain()), separators=(",", ":")))
    yield vector("unescaped text", None,
                 text=json.dumps(sign(plain(constraints={"note": "é😀\u2028"})), ensure_ascii=False))
    encoded = base64.urlsafe_b64encode(json.dumps(sign(plain())).encode()).decode()
    yield vector("base64url with padding", None, text=encoded)
    yield vector("base64url without padding", None, text=encoded.rstrip("="))
    yield vector("optional members absent", sign({k: v for k, v in plain().items() if k not in
                                                  ("constraints", "uses_remaining", "parent_id")}))
    yield vector("every escape", sign(plain(constraints={
        "text": "".join(map(chr, range(0x00, 0x81))) + "\xa0é\u2028\u2029\ufffe\uffff😀\U0010ffff",
        "/": "a/b", "\x7f": "\x7f", "😀": 1, "\uffff": 2})))
    yield vector("numbers", sign(plain(constraints={
        "ints": [0, -1, 1, 2**31, -2**31, 2**53 + 1, 2**63 - 1, -2**63, 2**63, 2**64 - 1],
        "floats": [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1.5e16, 123456789012345680.0, 1e-4, 1e-5,
                   2.0**-24, 5e-324, 1.7976931348623157e308, math.pi]})))
    deep = {}
    for level in range(14):
        deep = {"b": [deep, level], "a": True}
    yield vector("deep constraints", sign(plain(constraints=deep)))
    yield vector("order of keys", sign(plain(constraints={
        "b": 1, "a": 2, "B": 3, "aa": 4, "": 5, "é": 6, "z": 7, "\U00010000": 8, "\uffee": 9})))
    for stamp in ("2036-01-02T03:04:05", "2036-01-02 03:04:05.5", "2036-01-02T03:04:05+00:00",
                  "2036-01-02T03:04:05.123456-05:30"):
        yield vector("expires " + stamp, sign(plain(expires_at=stamp)))
    yield vector("limited and delegated", sign(plain(uses_remaining=3, parent_id="cap_ffffffffffff")))
    yield vector("any subject asked", sign(plain()), subject="")
    yield vector("unknown member", sign(plain(colour="blue")))
    for glob, resource in (("*", "a:b/c"), ("**", ""), ("memory:*/n?w", "memory:agent:kasra/new"),
                           ("memory:[a-c]*", "memory:bob"), ("m[!x]m", "mém")):
        yield vector("glob " + glob, sign(plain(resource=glob)), resource=resource)


def refused_tokens():
    for member, value in (("subject", "agent:mallory"), ("action", "memory:delete"),
                          ("resource", "*"), ("expires_at", "2099-01-02T03:04:05Z"),
                          ("issuer", "lake"), ("uses_remaining", 5), ("parent_id", ""),
                          ("constraints", {"max": 1}), ("issued_at", "2026-01-02T03:04:05.678901+00:00")):
        token = sign(plain())
        token[member] = value
        yield vector("changed " + member, token, "token_invalid")
    one = sign(plain(constraints={"max": 1.0}))
    one["constraints"]["max"] = 1
    yield vector("a float made an integer", one, "token_invalid")
    yield vector("another key", sign(plain(), OTHER_KEY), "token_invalid")
    flipped = sign(plain())
    flipped["signature"] = flipped["signature"][:-1] + ("0" if flipped["signature"][-1] != "0" else "1")
    yield vector("changed signature", flipped, "token_invalid")
    for signature in (None, "", "ed25519:", "ed25519:12", "rsa:" + "0" * 128, "ed25519:" + "g" * 128):
        yield vector(f"signature {signature}", plain(signature=signature), "token_invalid")
    yield vector("expired", sign(plain(expires_at="2020-01-02T03:04:05Z")), "token_expired")
    yield vector("used up", sign(plain(uses_remaining=0)), "capability_used_up")
    yield vector("uses below zero", sign(plain(uses_remaining=-1)), "capability_used_up")
    yield vector("other subject", sign(plain()), "capability_subject_mismatch", subject="agent:ana")
    yield vector("other action", sign(plain()), "scope_denied", action="memory:read")
    yield vector("other resource", sign(plain()), "scope_denied", resource="memory:agent:ana/new")
    yield vector("part of the resource", sign(plain(resource="memory:a")), "scope_denied",
                 resource="memory:ab")
    payload = "invalid_capability_payload"
    for member in ("id", "subject", "action", "resource", "issued_at", "expires_at", "issuer",
                   "signature"):
        token = sign(plain())
        del token[member]
        yield vector("without " + member, None, payload, text=json.dumps(token))
    for member, value in (("id", 1), ("subject", None), ("resource", ["*"]), ("constraints", []),
                          ("constraints", None), ("expires_at", "tomorrow"), ("issued_at", 12),
                          ("uses_remaining", "3"), ("uses_remaining", 3.0), ("uses_remaining", True),
                          ("uses_remaining", 2**63), ("parent_id", 7), ("signature", 5),
                          ("subject", "agent:kasra\0"), ("constraints", {"max": 2**64}),
                          ("constraints", {"max": math.nan})):
        text = json.dumps(plain(signature="ed25519:" + "0" * 128) | {member: value})
        yield vector(f"{member} {value!r}", None, payload, text=text)
    text = json.dumps(sign(plain()))
    yield vector("member twice", None, payload, text=text[:-1] + ', "subject": "agent:ana"}')
    for name, broken in (("empty", ""), ("a list", "[]"), ("cut", text[:-1]), ("text", '"x"'),
                         ("no base64", "@@@@"), ("trailing", text + "x"),
                         ("too long", text[:-1] + ', "pad": "' + "x" * 8192 + '"}'),
                         ("too deep", text[:-1] + ', "pad": ' + "[" * 40 + "]" * 40 + "}")):
        yield vector(name, None, payload, text=broken)


def doubles():
    numbers = []
    for exponent in range(-1074, 1024, 7):
        power = math.ldexp(1.0, exponent)
        numbers += [power, math.nextafter(power, 0.0), math.nextafter(power, math.inf)]
    numbers += [math.ldexp(1.0, e) for e in (-1017, -957, -496, -140, -97, -77, -44, -24, 89, 122, 976)]
    numbers += [float("1e%d" % e) for e in range(-12, 24)]
    source = random.Random(7)
    while len(numbers) < 1500:
        number = struct.unpack("<d", source.randbytes(8))[0]
        if math.isfinite(number):
            numbers.append(number)
    return [{"bits": struct.pack(">d", n).hex(), "text": repr(n)} for n in numbers]


def fill(source, character):
    """What a matching text may hold in place of the pattern's character."""
    some = [source.choice("ab-]!c:é😀") for _ in range(source.randrange(3))]
    if character == "*":
        return "".join(some)
    if character in "?]!-" or source.randrange(9) == 0:
        return some[0] if some else character
    return "" if character == "[" and source.randrange(3) else character


def globs():
    source = random.Random(11)
    vectors = []
    while len(vectors) < 1500:
        pattern = "".join(source.choice(ALPHABET) for _ in range(source.randrange(9)))
        text = "".join(fill(source, character) for character in pattern)
        # Python takes a '!' that follows an empty range ("[b-a!c]") for a negation; SOS does not.
        if not ("-" in pattern and "!" in pattern):
            vectors.append({"pattern": pattern, "text": text,
                            "match": fnmatch.fnmatchcase(text, pattern)})
    for pattern, text in (("[!a-c]", "b"), ("[!a-c]", "d"), ("[!-a]", "-"), ("[!]-a]", "^"),
                          ("[a-c-e]", "-"), ("[a-c-e]", "d"), ("[--a]", "5"), ("[^a]", "b"),
                          ("[!z-a]", "q"), ("[z-a]", "q"), ("a\\nb", "a\nb"), ("a?b", "a\nb")):
        vectors.append({"pattern": pattern, "text": text,
                        "match": fnmatch.fnmatchcase(text, pattern)})
    return vectors


def main():
    vectors = {
        "public_key": KEY.verify_key.encode().hex(),
        "now": "2026-06-01T00:00:00Z",
        "tokens": list(valid_tokens()) + list(refused_tokens()),
        "doubles": doubles(),
        "globs": globs(),
    }
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("capabilities.json")
    target.write_text(json.dumps(vectors, indent=0) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
