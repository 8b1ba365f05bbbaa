#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes kinds.json: what a broker must answer to each kind of record, valid and not, by docs/PROTOCOL.md. The records
are made by the encoder of make_records.py. Run it after a change of docs/PROTOCOL.md:

    python3 tests/vectors/make_kinds.py [FILE]

One vector is {name, greeted, steps}. Agents and whoever else speaks are new at its beginning, and have said hello when
`greeted`; squads have no members then, channels no events. A step is {from, hex, answers}: `from` says the record, and then
exactly the answers come, each to `to` (or else to `from`), in any order, heartbeats not counted. Of an answer that is looked at
which the vector names: kind (its word), correlation (hex; null: none), status, word (`detail` of its payload), type, id, source,
target, seq (a number, or "some": not 0), attempt, payload (hex)."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True  # the source tree stays as it is

from make_records import KINDS, TRACE, header, pack, record  # noqa: E402

NAMES = {word: number for number, word in enumerate(KINDS, 1)}
FLAG_FINAL, FLAG_STREAM, FLAG_IDEMPOTENT, FLAG_CONFIRM = 1, 2, 4, 16
KASRA, ATHENA = "agent:kasra", "agent:athena"
INVALID, TIMEOUT, FORBIDDEN, NOT_FOUND, EXISTS, QUOTA, VERSION = 1001, 1004, 2002, 3001, 3002, 4002, 1016
NOTHING = object()

vectors = []
serial = 0


def new_id():
    """Fixed, and each its own."""
    global serial
    serial += 1
    return bytes.fromhex("0192f3a4b5c67d8e9fa0") + (0xB1C200000000 + serial).to_bytes(6, "big")


class Said:
    def __init__(self, kind, payload=NOTHING, sender=KASRA, raw=None, **fields):
        self.sender = sender
        fields.setdefault("source", sender)
        fields.setdefault("id", new_id())
        self.id = fields["id"]
        body = raw if raw is not None else b"" if payload is NOTHING else pack(payload)
        self.body = body
        self.data = record(pack(header(kind=NAMES[kind], **fields)), body)


def answer(kind, **fields):
    """An answer to the record of its step."""
    return {"kind": kind, **fields}


def refused(status, word, kind="error"):
    return answer(kind, status=status, word=word)


def step(said, *answers):
    told = []
    for expected in answers:
        row = {"correlation": said.id.hex(), **expected}
        told.append({name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()})
    return {"from": said.sender, "hex": said.data.hex(), "answers": told}


def vector(name, *steps, greeted=True):
    vectors.append({"name": name, "greeted": greeted, "steps": list(steps)})


def delivered(said, to, **fields):
    """What the receiver of a send gets."""
    return answer("deliver", to=to, id=said.id, correlation=None, source=said.sender, payload=said.body, attempt=1,
                  seq="some", **fields)


def heard(said, to, channel):
    """What a subscriber gets of a publish."""
    return answer("event", to=to, id=said.id, correlation=None, source=said.sender, target=channel, payload=said.body,
                  seq="some")


def listens(agent, window=8):
    """The step in which an agent opens its empty inbox."""
    return step(Said("subscribe", {"inbox": agent, "window": window, "ack_ms": 60000}, sender=agent), answer("ack", seq=0))


def subscribes(agent, channel):
    return step(Said("subscribe", {"channel": channel}, sender=agent), answer("ack"))


def make_sessions():
    offer = {"version_min": 1, "version_max": 1, "features": [], "agent": "vectors"}
    vector("hello is welcomed", step(Said("hello", offer), answer("hello", status=0, target=KASRA)), greeted=False)
    vector("hello of a peer that could speak more", step(Said("hello", {**offer, "version_max": 9, "features": ["new"]}),
                                                        answer("hello")), greeted=False)
    vector("hello of a peer that speaks only later versions",
           step(Said("hello", {**offer, "version_min": 2, "version_max": 3}), refused(VERSION, "version_unsupported")),
           greeted=False)
    vector("hello without a payload", step(Said("hello"), answer("error", status=INVALID)), greeted=False)
    vector("hello whose payload is a list", step(Said("hello", [1, 1]), answer("error", status=INVALID)), greeted=False)
    vector("hello with a stolen name", step(Said("hello", offer, source="agent:victim"), refused(FORBIDDEN, "source_forged")),
           greeted=False)
    vector("a second hello begins the session anew", step(Said("hello", offer), answer("hello")))
    for kind, payload in (("request", {}), ("send", 1), ("subscribe", {"inbox": KASRA}), ("publish", 1), ("heartbeat", NOTHING)):
        vector(f"{kind} before hello", step(Said(kind, payload, target="service:bus"),
                                           answer("control", type="hello_required", correlation=None)), greeted=False)
    vector("heartbeat is not answered", step(Said("heartbeat")))
    vector("bye is not answered", step(Said("bye")))
    vector("after bye comes hello_required", step(Said("bye")),
           step(Said("request", {}, target="service:bus", type="health_check"),
                answer("control", type="hello_required", correlation=None)))
    vector("ready of an agent", step(Said("ready", {"service": "memory", "single": True}), answer("error", status=FORBIDDEN)))
    vector("ready without a payload", step(Said("ready"), answer("error")))
    vector("a stolen source", step(Said("publish", 1, source="agent:victim", target="squad:x"),
                                  refused(FORBIDDEN, "source_forged")))
    vector("error of a peer is passed over", step(Said("error", {"message": "no"}, status=1002, correlation=new_id())))
    vector("hello of the broker's own making is a peer's hello", step(Said("hello", {**offer, "epoch": 7, "version": 1}),
                                                                     answer("hello")))


def make_requests():
    bus = {"target": "service:bus"}
    vector("request to the broker", step(Said("request", {}, type="health_check", **bus),
                                        answer("reply", status=0, source="service:bus", target=KASRA)))
    vector("request of a type that the broker does not know", step(Said("request", {}, type="nonsense", **bus),
                                                                   refused(INVALID, "type_unknown", "reply")))
    for name, target in (("an agent", ATHENA), ("a squad", "squad:x"), ("nobody", None)):
        vector(f"request to {name}", step(Said("request", {}, target=target, type="question"),
                                          answer("reply", status=INVALID, word="target_unknown")))
    vector("request on behalf of somebody else", step(Said("request", {}, type="health_check", principal="user:ana", **bus),
                                                      refused(FORBIDDEN, "principal_not_allowed", "reply")))
    vector("request for a stream that takes none", step(Said("request", {"agent_id": KASRA}, type="bus_listen", **bus),
                                                        answer("reply", status=INVALID, word="stream_required")))
    vector("request with a wrong field", step(Said("request", {"limit": "many"}, type="bus_peers", **bus),
                                              answer("reply", status=1005, word="validation_error")))
    vector("reply that nobody waits for", step(Said("reply", {}, correlation=new_id(), target=ATHENA),
                                               refused(NOT_FOUND, "request_unknown")))
    vector("chunk of no request is passed over", step(Said("chunk", "x", correlation=new_id(), target="service:memory")))
    vector("cancel of no request is passed over", step(Said("cancel", correlation=new_id(), target="service:memory")))
    vector("credit of no request is passed over", step(Said("control", type="credit", correlation=new_id(), seq=5,
                                                            target="service:memory")))
    vector("control of an unknown type", step(Said("control", {}, type="nonsense", **bus), answer("error", word="control_unknown",
                                                                                                   status=INVALID)))
    vector("key_add of an agent", step(Said("control", {"identity": "agent:x", "curve_public_key": "0" * 40}, type="key_add",
                                            **bus), answer("error", status=FORBIDDEN)))


def make_mail():
    for name, fields in (("", {}), (" with everything", {"correlation": new_id(), "ttl_ms": 60000, "trace": TRACE,
                                                         "metadata": {"idempotency_key": "k", "n": [1, None]}}),
                         (" that never expires", {"ttl_ms": 0})):
        said = Said("send", {"text": "café", "n": [1, 2.5, None, True]}, target=ATHENA, type="note", **fields)
        told = {"type": "note", "target": ATHENA}
        if "correlation" in fields:
            told["correlation"] = fields["correlation"]
        vector(f"send to an inbox{name}", listens(ATHENA),
               step(said, answer("ack", seq=1), {**delivered(said, ATHENA), **told}))
    said = Said("send", target=ATHENA)
    vector("send of nothing at all", listens(ATHENA), step(said, answer("ack", seq=1), delivered(said, ATHENA)))
    said = Said("send", "kept", target=ATHENA, type="note")
    vector("send to somebody who is away", step(said, answer("ack", seq=1)),
           step(Said("subscribe", {"inbox": ATHENA}, sender=ATHENA), answer("ack", seq=1),
                delivered(said, ATHENA)))
    said = Said("send", "again", target=ATHENA, type="note")
    vector("send twice under one id is kept once", listens(ATHENA), step(said, answer("ack", seq=1), delivered(said, ATHENA)),
           step(said, answer("ack", seq=0)))
    said = Said("send", "to me", target=KASRA, type="note")
    vector("send to oneself", listens(KASRA), step(said, answer("ack", seq=1), delivered(said, KASRA)))
    later = Said("send", "later", target=ATHENA, type="note", metadata={"deliver_at": 4102444800000000})
    vector("send for later", listens(ATHENA), step(later, answer("ack", seq=1)))
    for name, metadata in (("as text", {"deliver_at": "2100-01-01"}), ("below 0", {"deliver_at": -1})):
        vector(f"send with a time {name}", step(Said("send", 1, target=ATHENA, metadata=metadata), answer("error", status=INVALID)))
    for name, target in (("a channel of an identity", "agent:kasra:events"), ("a channel of the broker", "system:events"),
                         ("nobody", None)):
        vector(f"send to {name}", step(Said("send", 1, target=target), refused(INVALID, "not_an_inbox")))
    vector("send to a squad without members", step(Said("send", 1, target="squad:empty"), refused(NOT_FOUND, "squad_empty")))
    vector("send with a stolen source", step(Said("send", 1, source="agent:victim", target=ATHENA),
                                             refused(FORBIDDEN, "source_forged")))
    vector("deliver said by a peer", step(Said("deliver", 1, target=ATHENA, seq=1, attempt=1), answer("error")))

    vector("subscribe to one's inbox", listens(KASRA))
    vector("subscribe to another's inbox", step(Said("subscribe", {"inbox": ATHENA}), answer("error", status=FORBIDDEN)))
    for name, payload in (("without a payload", NOTHING), ("to nothing", {}), ("to a number", {"inbox": 7}),
                          ("with a window of 0", {"inbox": KASRA, "window": 0}),
                          ("with a window of 1025", {"inbox": KASRA, "window": 1025}),
                          ("with a window of text", {"inbox": KASRA, "window": "8"}),
                          ("as a list", [KASRA])):
        vector(f"subscribe {name}", step(Said("subscribe", payload), answer("error", status=INVALID)))
    vector("subscribe to an inbox that is none", step(Said("subscribe", {"inbox": "squad:x"}), answer("error", status=INVALID)))
    vector("unsubscribe from one's inbox", listens(KASRA), step(Said("unsubscribe", {"inbox": KASRA}), answer("ack")))


def make_receipts():
    said = Said("send", 1, target=ATHENA, type="note")
    first = [listens(ATHENA), step(said, answer("ack", seq=1), delivered(said, ATHENA))]
    vector("ack of one by its correlation", *first, step(Said("ack", sender=ATHENA, correlation=said.id)),
           step(Said("ack", [said.id], sender=ATHENA, flags=FLAG_CONFIRM), answer("ack", seq=0)))
    vector("ack of one that is confirmed", *first,
           step(Said("ack", sender=ATHENA, correlation=said.id, flags=FLAG_CONFIRM), answer("ack", seq=1)))
    more = [Said("send", number, target=ATHENA, type="note") for number in range(3)]
    many = [listens(ATHENA)] + [step(one, answer("ack", seq=1), delivered(one, ATHENA)) for one in more]
    vector("ack of many", *many, step(Said("ack", [one.id for one in more] + [new_id()], sender=ATHENA, flags=FLAG_CONFIRM),
                                     answer("ack", seq=3)))
    vector("ack of a message that nobody has", step(Said("ack", correlation=new_id())))
    vector("ack of such, confirmed", step(Said("ack", [new_id()], flags=FLAG_CONFIRM), answer("ack", seq=0)))
    vector("ack of another's message ends nothing", *first,
           step(Said("ack", [said.id], flags=FLAG_CONFIRM), answer("ack", seq=0)))
    for name, payload in (("texts", [said.id.hex()]), ("short ids", [said.id[:15]]), ("a number", 7), ("no ids", NOTHING),
                          ("257 ids", [new_id() for _ in range(257)])):
        vector(f"ack of {name}", step(Said("ack", payload), answer("error", status=INVALID)))
    vector("nack by correlation", *first, step(Said("nack", sender=ATHENA, correlation=said.id)))
    vector("nack that is confirmed", *first,
           step(Said("nack", {"ids": [said.id], "reason": "no", "delay_ms": 60000}, sender=ATHENA, flags=FLAG_CONFIRM),
                answer("ack", seq=1)))
    vector("nack to the dead letters", *first,
           step(Said("nack", {"ids": [said.id], "reason": "poison", "dead": True}, sender=ATHENA, flags=FLAG_CONFIRM),
                answer("ack", seq=1)))
    for name, payload in (("a list", [said.id]), ("a reason that is a number", {"ids": [said.id], "reason": 7}),
                          ("a negative delay", {"ids": [said.id], "delay_ms": -1})):
        vector(f"nack with {name}", step(Said("nack", payload), answer("error", status=INVALID)))
    vector("extend", *first, step(Said("control", {"ids": [said.id], "ms": 60000}, sender=ATHENA, type="extend",
                                       target="service:bus")))
    vector("extend of a message that nobody has", step(Said("control", {"ids": [new_id()], "ms": 1000}, type="extend",
                                                            target="service:bus")))
    vector("extend without a time", step(Said("control", {"ids": [new_id()]}, type="extend", target="service:bus"),
                                         answer("error", status=INVALID)))


def make_channels():
    for channel in ("squad:x", "guild:x", "agent:kasra:events", "squad:x:y"):
        said = Said("publish", {"text": "café"}, target=channel, type="news", flags=FLAG_CONFIRM)
        vector(f"publish to {channel}, confirmed", subscribes(KASRA, channel),
               step(said, answer("ack", seq="some"), {**heard(said, KASRA, channel), "type": "news"}))
    said = Said("publish", target="squad:x", trace=TRACE, metadata={"n": 1})
    vector("publish of nothing, unconfirmed", subscribes(ATHENA, "squad:x"), step(said, heard(said, ATHENA, "squad:x")))
    vector("publish that nobody hears", step(Said("publish", 1, target="squad:x", type="news")))
    said = Said("publish", 1, target="squad:x", type="news")
    vector("publish to a pattern's subscriber", subscribes(ATHENA, "squad:*"), step(said, heard(said, ATHENA, "squad:x")))
    vector("one copy, however many subscriptions match", subscribes(ATHENA, "squad:*"), subscribes(ATHENA, "*"),
           subscribes(ATHENA, "squad:x"), step(said, heard(said, ATHENA, "squad:x")))
    vector("publish to another channel is not heard", subscribes(ATHENA, "squad:y"), step(said))
    for name, target in (("an inbox", KASRA), ("nobody", None)):
        vector(f"publish to {name}", step(Said("publish", 1, target=target, flags=FLAG_CONFIRM), refused(INVALID, "not_a_channel")))
    vector("publish to the broker's channel", step(Said("publish", 1, target="system:events", flags=FLAG_CONFIRM),
                                                   answer("error", status=FORBIDDEN)))
    vector("event said by a peer", step(Said("event", 1, target="squad:x", seq=1), answer("error")))
    vector("subscribe to a channel", subscribes(KASRA, "squad:x"))
    vector("subscribe to a pattern", subscribes(KASRA, "agent:*:events"))
    before = Said("publish", "before", target="squad:x", type="news")
    vector("subscribe with what was said before", step(before),
           step(Said("subscribe", {"channel": "squad:x", "after": 0}, sender=ATHENA), answer("ack", seq="some"),
                heard(before, ATHENA, "squad:x")))
    for name, payload in (("an inbox as channel", {"channel": KASRA}), ("a channel of text without type", {"channel": "x"}),
                          ("a channel of 300 bytes", {"channel": "squad:" + "x" * 294}), ("a number as channel", {"channel": 7}),
                          ("a pattern and a number", {"channel": "squad:*", "after": 5}),
                          ("a negative number", {"channel": "squad:x", "after": -1})):
        vector(f"subscribe to {name}", step(Said("subscribe", payload), answer("error", status=INVALID)))
    said = Said("publish", 1, target="squad:x", type="news")
    vector("unsubscribe ends it", subscribes(ATHENA, "squad:x"),
           step(Said("unsubscribe", {"channel": "squad:x"}, sender=ATHENA), answer("ack")), step(said))
    vector("unsubscribe from what was not subscribed to", step(Said("unsubscribe", {"channel": "squad:x"}), answer("ack")))
    vector("unsubscribe from nothing", step(Said("unsubscribe", {}), answer("error", status=INVALID)))
    vector("events_dropped said by a peer", step(Said("control", {"dropped": 5}, type="events_dropped", target="service:bus"),
                                                 refused(INVALID, "control_unknown")))


def main():
    make_sessions()
    make_requests()
    make_mail()
    make_receipts()
    make_channels()
    names = [vector_["name"] for vector_ in vectors]
    assert len(names) == len(set(names)), "two vectors of one name"
    lines = ",\n".join(json.dumps(vector_, ensure_ascii=True) for vector_ in vectors)
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("kinds.json")
    target.write_text(f"[\n{lines}\n]\n", encoding="ascii")
    print(f"{target}: {len(vectors)} vectors")


if __name__ == "__main__":
    main()
