# SPDX-License-Identifier: Apache-2.0
"""Every operation of every contract with every kind of token, over REST and over ZMQ: who is let through, and by which
word everybody else is refused. The rows are the contracts themselves: an operation that is added is in the table."""

import http.client
import json
import pathlib
import re
import sys
import time
import unittest
import urllib.parse
import uuid

import sos_wire
import tokens
import zmq
from swarm import Swarm

CONTRACTS = pathlib.Path(__file__).resolve().parents[2] / "kernel" / "contracts"
sys.path.insert(0, str(CONTRACTS))
import generate  # noqa: E402
import reader  # noqa: E402

AGENT = "agent:kasra"
STATUSES = {401: (2004, 2006), 403: (2003, 2005)}
# Words by which a capability is refused, and nothing else.
REFUSALS = {"missing_capability", "token_expired", "token_invalid", "scope_denied", "capability_subject_mismatch",
            "capability_revoked", "capability_used_up", "capability_widened", "capability_parent_unknown",
            "invalid_capability_header", "invalid_capability_payload"}

BEFORE_THE_HANDLER = ("validation_error", "invalid_request", "service_unavailable", "service_busy")

# Values that satisfy the gate's validation; any other field gets one by its type.
VALUES = {
    "agent_id": AGENT, "from": AGENT, "to": "agent:ana", "owner_id": AGENT, "user_id": AGENT, "approver_id": AGENT,
    "subject": AGENT, "channel": "squad:eng", "squad": "squad:eng", "squad_id": "squad:eng", "guild_id": "guild:eng",
    "pattern": "squad:*", "inbox": "mail", "expires_in": 60, "conversation_id": "c-1", "edition": "business",
    "signature": "ed25519:" + "0" * 128, "public_key": "0" * 64, "action": "memory:read",
    "resource": f"memory:{AGENT}/*", "approval_id": str(uuid.UUID(int=7)), "dead_id": "7", "sender_id": "tg-1",
}
PAIRING = ("pairing_create", "pairing_approve", "allowlist_list", "allowlist_remove")
BY_TYPE = {"identity": AGENT, "uuid": str(uuid.UUID(int=7)), "glob": "*", "timestamp": "2030-01-01T00:00:00Z",
           "boolean": False, "map": {}, "any": 1, "integer": 1, "number": 0.5, "amount": 1}
# `id` is a memory, an agent or a capability.
IDS = {"identity_user_get": "user:ana", "identity_guild_get": "guild:eng", "identity_guild_members": "guild:eng"}

# What these are asked with is a token itself.
TOKEN_IS_ARGUMENT = {"capability_delegate", "capability_verify", "capability_use"}
# Answered by everybody's runtime: never with a capability.
BUILT_IN = {"health_check", "metrics"}
# The peer itself has to hold it, unless it speaks for others.
SUBJECT_ON_THE_BUS = {"tap": "user:operator"}


def value_of(operation, field, known):
    """known: the id of a thing that is there, for operations on one."""
    if field.name in ("id", "agent_id") and operation.type.startswith("identity_"):
        return IDS.get(operation.type, "agent:table")  # whose life ends in this table
    if field.name == "id":
        return known or AGENT
    if field.name == "channel" and operation.type in PAIRING:
        return "telegram"
    if field.name == "curve_public_key":
        return zmq.curve_keypair()[0].decode()
    if field.name in VALUES and not (field.words and VALUES[field.name] not in field.words):
        return VALUES[field.name]
    if field.words:
        return field.words[0]
    if field.type == "list":
        return [BY_TYPE.get(field.item, "x")] * max(1, field.minimum or 0)
    if field.type in ("integer", "number", "amount"):
        return max(BY_TYPE[field.type], field.minimum or 0)
    if field.type in BY_TYPE:
        return BY_TYPE[field.type]
    return "x" * max(1, field.minimum or 0)


class Row:
    """One operation, what it is asked with, and what a good token for it says."""

    def __init__(self, contract, operation, known):
        self.service, self.operation, self.type = contract.service, operation, operation.type
        capability = operation.capability or {}
        self.action, template = capability.get("action"), capability.get("resource")
        self.subject_field = capability.get("subject")
        self.fields = {field.name: value_of(operation, field, known) for field in operation.fields
                       if field.required or field.place == "path" or field.name == self.subject_field}
        self.streams = "stream_always" in operation.flags
        self.resolves = bool(template) and "{owner}" in template  # of a memory
        if template:
            values = {field.name: field.default for field in operation.fields} | self.fields | {"owner": AGENT}
            self.resource = f"memory:{AGENT}/*" if self.resolves else re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1]) or ""), template)
        self.has_subject = bool(self.subject_field) or self.resolves

    def subject(self, way):
        if way == "zmq" and self.type in SUBJECT_ON_THE_BUS:
            return SUBJECT_ON_THE_BUS[self.type]
        return self.fields.get(self.subject_field, AGENT)


def read_contracts():
    shared = CONTRACTS / "shared.json"
    _, types = reader.read_shared(str(shared))
    statuses, fields_max = generate.read_statuses(), generate.read_fields_max()
    return [reader.read_contract(str(path), types, statuses, fields_max)
            for path in sorted(CONTRACTS.glob("*.json")) if path != shared]


class TrustTable(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.swarm = Swarm(environment={"SOS_REQUIRE_CAPABILITIES": "1"})
        cls.swarm.__enter__()
        try:
            cls.key = tokens.river_key(cls.swarm.home)
            cls.identity = cls.swarm.peer("identity")
        except BaseException:
            cls.swarm.__exit__(None, None, None)
            raise
        cls.operator = cls.swarm.connection("operator")

    @classmethod
    def tearDownClass(cls):
        cls.identity.close()
        cls.swarm.__exit__(None, None, None)

    # ---- ways in: (HTTP status or its like, word)

    def over_rest(self, row, token):
        door, method, path = row.operation.routes[0]
        places = {field.name: field.place for field in row.operation.fields}
        body, query = {}, {}
        for name, value in row.fields.items():
            if places[name] == "path":
                path = path.replace("{" + name + "}", urllib.parse.quote(str(value), safe=""))
            else:
                (query if places[name] == "query" else body)[name] = value
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = {"Content-Type": "application/json"}
        if token:
            headers["X-SOS-Capability"] = tokens.base64url(token)
        connection = http.client.HTTPConnection("127.0.0.1", self.swarm.ports[door], timeout=20)
        try:
            connection.request(method, path, json.dumps(body) if method == "POST" else None, headers)
            answer = connection.getresponse()
            if answer.status < 400:
                return answer.status, ""  # a stream has no end
            return answer.status, json.loads(answer.read()).get("detail", "")
        finally:
            connection.close()

    def over_zmq(self, row, token):
        """A session of its own each time: one peer has only a few new tokens checked in a second."""
        with sos_wire.Peer(self.operator) as peer:
            fields = {"capability": json.dumps(token)} if token else {}
            if row.streams:
                fields["flags"] = sos_wire.FLAG_STREAM
            request = peer.send(sos_wire.REQUEST, row.fields, target="service:" + row.service, type=row.type,
                                ttl_ms=15000, **fields)
            answer = peer.expect(lambda r: r["correlation"] == request and r["kind"] in
                                 (sos_wire.REPLY, sos_wire.CHUNK, sos_wire.ERROR), 20)
            if answer["kind"] == sos_wire.CHUNK or not answer["status"]:
                peer.send(sos_wire.CANCEL, correlation=request)
                return 200, ""
            return answer["status"], answer["payload"]["detail"]

    # ---- the columns: (token, status, word); None: let through

    def make(self, row, way, **changes):
        subject = changes.pop("subject", row.subject(way))
        return tokens.make(self.key, subject, changes.pop("action", row.action),
                           changes.pop("resource", row.resource), **changes)

    def revoke(self, token):
        request = self.identity.send(sos_wire.CONTROL, {"capabilities": [
            {"id": token["id"], "expires_us": int((time.time() + 3600) * 1e6)}]}, target="service:bus",
            type="capability_revoke")
        answer = self.identity.expect(lambda r: r["correlation"] == request)
        self.assertFalse(answer["status"], answer)

    def columns(self, row, way, ask):
        make = lambda **changes: self.make(row, way, **changes)
        tampered = dict(make(), issuer="lake")
        revoked, once, parent = make(), make(uses_remaining=1), make(uses_remaining=9)
        self.revoke(revoked)
        yield "no token", None, 401, "missing_capability"
        yield "expired", make(expires_in=-1), 403, "token_expired"
        yield "other action", make(action="other:action"), 403, "scope_denied"
        yield "other resource", make(resource="other:thing"), 403, "scope_denied"
        if row.has_subject or (way == "zmq" and row.type in SUBJECT_ON_THE_BUS):
            yield "other subject", make(subject="agent:eve"), 403, "capability_subject_mismatch"
        yield "tampered", tampered, 401, "token_invalid"
        yield "revoked", revoked, 403, "capability_revoked"
        yield "good", make(), None, None
        yield "used once", once, None, None
        yield "used up", once, 403, "capability_used_up"
        yield "used up from the first", make(uses_remaining=0), 403, "capability_used_up"
        yield "its parent", parent, None, None
        yield "delegated too wide", make(resource="*", uses_remaining=2, expires_in=7200,
                                         parent_id=parent["id"]), 403, "capability_widened"
        yield "delegated from nobody", make(parent_id="cap_000000000000"), 401, "capability_parent_unknown"
        yield "delegated well", make(uses_remaining=2, expires_in=600, parent_id=parent["id"]), None, None

    def check(self, row, way, name, answer, status, word):
        where = f"{way} {row.service}.{row.operation.name}, {name}: {answer}"
        if status is None:
            self.assertNotIn(answer[1], REFUSALS, where)
            self.assertNotIn(answer[1], BEFORE_THE_HANDLER, where)
            return
        self.assertEqual(answer[1], word, where)
        self.assertIn(answer[0], (status,) if way == "rest" else STATUSES[status], where)

    # ---- the table

    def memory(self):
        answer = self.swarm.http("POST", "memory", "/store", {"content": "a thing", "agent_id": AGENT}, {
            "X-SOS-Capability": tokens.base64url(tokens.make(self.key, AGENT, "memory:write", "*"))})
        return answer.json["memory_id"]

    def something(self, contract, operation):
        """What an operation on one thing that is there is asked about."""
        if contract.service == "memory":
            return self.memory()
        return self.known_capability() if operation.type == "capability_revoke" else None

    def known_capability(self):
        """One that the identity service has in its book, because it has counted a use of it."""
        token = tokens.make(self.key, AGENT, "memory:write", "*", uses_remaining=9)
        answer = self.swarm.http("POST", "memory", "/store", {"content": "a thing", "agent_id": AGENT}, {
            "X-SOS-Capability": tokens.base64url(token)})
        self.assertEqual(answer.status, 200, answer.body)
        return token["id"]

    def walk(self, way, ask, takes):
        rows = 0
        for contract in read_contracts():
            for operation in contract.operations:
                row = Row(contract, operation, self.something(contract, operation))
                if operation.type in BUILT_IN or operation.type in TOKEN_IS_ARGUMENT or not takes(row):
                    continue
                rows += 1
                if row.action is None:
                    self.check_open(row, way, ask)
                    continue
                for name, token, status, word in self.columns(row, way, ask):
                    with self.subTest(f"{way} {row.service}.{operation.name}", column=name):
                        self.check(row, way, name, ask(row, token), status, word)
                        if row.type == "memory_delete" and status is None:
                            row.fields["id"] = self.memory()  # the next column finds one too
        return rows

    def check_open(self, row, way, ask):
        """Nothing asks for a token here, so none makes a difference."""
        good = tokens.make(self.key, AGENT, "memory:read", "*")
        for name, token in (("none", None), ("good", good), ("expired", tokens.make(self.key, AGENT, "x:y", "*", -1)),
                            ("tampered", dict(good, subject="agent:eve"))):
            with self.subTest(f"{way} {row.service}.{row.operation.name}", column=name):
                self.assertNotIn(ask(row, token)[1], REFUSALS)

    def test_over_rest(self):
        self.assertGreater(self.walk("rest", self.over_rest, lambda row: row.operation.routes), 30)

    def test_over_zmq(self):
        self.assertGreater(self.walk("zmq", self.over_zmq, lambda row: True), 40)


if __name__ == "__main__":
    unittest.main()
