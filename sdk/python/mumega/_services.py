# SPDX-License-Identifier: Apache-2.0
# Generated from the contracts by kernel/contracts/emit_python.py.
"""The services of a swarm, typed: what can be asked, and what comes."""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, TypedDict, Union, cast

from .operation import Capability, Operation
from .service import AsyncCaller, AsyncService, Service, SyncCaller
from .stream import AsyncStream, Stream


_Mail = TypedDict("_Mail", {
    "id": str,
    "from": str,
    "to": str,
    "type": str,
    "payload": Any,
    "sent_at": str,
    "attempt": int,
    "seq": int,
})


class Mail(_Mail, total=False):
    in_reply_to: str
    expires_in_ms: int
    trace_id: str
    metadata: Dict[str, Any]


_Event = TypedDict("_Event", {
    "id": str,
    "channel": str,
    "seq": int,
    "from": str,
    "type": str,
    "payload": Any,
    "sent_at": str,
})


class Event(_Event, total=False):
    trace_id: str
    metadata: Dict[str, Any]


class DeadLetter(TypedDict):
    dead_id: str  # Its name among the dead letters
    reason: str
    attempts: int
    died_at: str
    message: Dict[str, Any]  # As taken from an inbox; without its payload in lists


class AgentRecord(TypedDict):
    agent_id: str
    name: Optional[str]
    model: Optional[str]
    public_key: Optional[str]  # Ed25519, 64 hex digits
    curve_public_key: str  # CURVE, 40 characters of Z85
    status: Literal["pending", "registered", "revoking", "revoked"]
    created_at: str
    revoked_at: Optional[str]


class _Memory(TypedDict):
    id: str
    content: str
    memory_type: Literal["engram", "fact", "episode", "skill", "context"]  # The kind of memory
    agent_id: str
    importance: float
    access_count: int
    created_at: str
    accessed_at: Optional[str]
    metadata: Dict[str, Any]
    relations: List[Dict[str, Any]]


class Memory(_Memory, total=False):
    embedding: List[float]  # Only when asked for


class BusHealthCheckAnswer(TypedDict):
    status: Literal["ok", "degraded", "unhealthy"]
    version: str
    service: str
    uptime_seconds: float
    checks: Dict[str, Any]


class BusMetricsAnswer(TypedDict):
    text: str


class BusDirectoryServices(TypedDict):
    service: str
    instances: int
    in_flight: int
    waiting: int


class BusDirectoryAnswer(TypedDict):
    epoch: int  # Changes with each start of the broker
    peers: int  # Open sessions
    services: List[BusDirectoryServices]


class BusHistoryAnswer(TypedDict):
    channel: str
    first_seq: int
    last_seq: int
    events: List[Event]


class BusChannelsChannels(TypedDict):
    channel: str
    subscribers: int
    last_seq: int
    events: int
    bytes: int


class BusChannelsAnswer(TypedDict):
    channels: List[BusChannelsChannels]


class BusPeersPeers(TypedDict):
    identity: str
    online: bool
    sessions: int
    since: Optional[str]
    last_seen: str
    subscriptions: int
    in_flight: int  # Requests that it made and that are not answered


class BusPeersAnswer(TypedDict):
    peers: List[BusPeersPeers]
    online: int


class BusMailboxesMailboxes(TypedDict):
    agent_id: str
    waiting: int
    delayed: int
    unacked: int
    dead: int
    bytes: int


class BusMailboxesAnswer(TypedDict):
    mailboxes: List[BusMailboxesMailboxes]


class BusDeadListAnswer(TypedDict):
    dead_letters: List[DeadLetter]
    count: int  # All of this inbox


class BusDeadReplayAnswer(TypedDict):
    replayed: int
    unknown: List[str]
    left: int


class BusDeadDropAnswer(TypedDict):
    dropped: int
    unknown: List[str]
    left: int


class BusJoinAnswer(TypedDict):
    members: int


class BusMembersAnswer(TypedDict):
    members: List[str]


class BusMemoryPushAnswer(TypedDict):
    count: int


class BusMemoryRecallItems(TypedDict):
    item: Any
    at: str


class BusMemoryRecallAnswer(TypedDict):
    items: List[BusMemoryRecallItems]


class EngineChatAnswer(TypedDict):
    content: str
    agent_id: str
    model_used: str
    conversation_id: str
    tool_calls: List[Dict[str, Any]]
    tokens_used: int
    metadata: Dict[str, Any]


class EngineChatStreamChunk(TypedDict):
    chunk: str


class EngineModelsRow(TypedDict):
    id: str
    name: str
    status: str
    type: str


class EngineHistoryTurns(TypedDict):
    role: Literal["user", "assistant"]
    content: str
    model: Optional[str]
    created_at: str


class EngineHistoryAnswer(TypedDict):
    conversation_id: str
    agent_id: str
    turns: List[EngineHistoryTurns]


class IdentitySyncAnswer(TypedDict):
    adopted: int
    finished: int


class MemoryStoreAnswer(TypedDict):
    memory_id: str  # The memory's id
    success: bool
    extracted_facts: List[Any]
    related_memories: List[Any]


class MemorySearchRow(TypedDict):
    memory: Memory
    similarity: float
    highlights: List[str]


class MemorySearchShortResults(TypedDict):
    id: str
    content: str
    metadata: Dict[str, Any]
    score: float


class MemorySearchShort(TypedDict):
    results: List[MemorySearchShortResults]


class MemoryDeleteAnswer(TypedDict):
    deleted: bool


class MemoryAddAnswer(TypedDict):
    id: str  # The memory's id
    status: Literal["stored"]


BUS_HEALTH_CHECK = Operation("bus", "health_check", "health_check", 5000, idempotent=True)
BUS_METRICS = Operation("bus", "metrics", "metrics", 5000, idempotent=True)
BUS_DIRECTORY = Operation("bus", "directory", "directory", 5000, idempotent=True)
BUS_TAP = Operation("bus", "tap", "tap", 600000, stream=True, route=("engine", "GET", "/bus/tap"),
    in_query=("source", "target", "type", "kind", "trace", "status", "verdict", "header", "payload"))
BUS_SEND = Operation("bus", "send", "bus_send", 30000, write=True, idempotent=True, subject="from",
    route=("engine", "POST", "/bus/send"))
BUS_INBOX = Operation("bus", "inbox", "bus_inbox", 60000, write=True, subject="agent_id",
    route=("engine", "GET", "/bus/inbox/{agent_id}"), in_path=("agent_id",),
    in_query=("limit", "wait_ms", "ack_ms", "peek", "after"))
BUS_ACK = Operation("bus", "ack", "bus_ack", 30000, write=True, idempotent=True, subject="agent_id",
    route=("engine", "POST", "/bus/inbox/{agent_id}/ack"), in_path=("agent_id",))
BUS_NACK = Operation("bus", "nack", "bus_nack", 30000, write=True, subject="agent_id",
    route=("engine", "POST", "/bus/inbox/{agent_id}/nack"), in_path=("agent_id",))
BUS_EXTEND = Operation("bus", "extend", "bus_extend", 30000, write=True, idempotent=True, subject="agent_id",
    route=("engine", "POST", "/bus/inbox/{agent_id}/extend"), in_path=("agent_id",))
BUS_LISTEN = Operation("bus", "listen", "bus_listen", 600000, stream=True, subject="agent_id",
    route=("engine", "GET", "/bus/listen/{agent_id}"), in_path=("agent_id",),
    in_query=("inbox", "channels", "window", "ack_ms"))
BUS_PUBLISH = Operation("bus", "publish", "bus_publish", 10000, write=True, subject="from",
    route=("engine", "POST", "/bus/publish"))
BUS_HISTORY = Operation("bus", "history", "bus_history", 10000, idempotent=True,
    route=("engine", "GET", "/bus/channels/{channel}/history"), in_path=("channel",), in_query=("after", "limit"))
BUS_CHANNELS = Operation("bus", "channels", "bus_channels", 10000, idempotent=True,
    route=("engine", "GET", "/bus/channels"), in_query=("pattern", "limit"))
BUS_PEERS = Operation("bus", "peers", "bus_peers", 10000, idempotent=True, route=("engine", "GET", "/bus/peers"),
    in_query=("pattern", "limit"))
BUS_MAILBOXES = Operation("bus", "mailboxes", "bus_mailboxes", 10000, idempotent=True,
    route=("engine", "GET", "/bus/mailboxes"), in_query=("pattern", "limit"))
BUS_DEAD_LIST = Operation("bus", "dead_list", "bus_dead_list", 10000, idempotent=True, subject="agent_id",
    route=("engine", "GET", "/bus/dlq/{agent_id}"), in_path=("agent_id",), in_query=("after", "limit"))
BUS_DEAD_GET = Operation("bus", "dead_get", "bus_dead_get", 10000, idempotent=True, subject="agent_id",
    route=("engine", "GET", "/bus/dlq/{agent_id}/{dead_id}"), in_path=("agent_id", "dead_id"))
BUS_DEAD_REPLAY = Operation("bus", "dead_replay", "bus_dead_replay", 30000, write=True, subject="agent_id",
    route=("engine", "POST", "/bus/dlq/{agent_id}/replay"), in_path=("agent_id",))
BUS_DEAD_DROP = Operation("bus", "dead_drop", "bus_dead_drop", 30000, write=True, subject="agent_id",
    route=("engine", "POST", "/bus/dlq/{agent_id}/drop"), in_path=("agent_id",))
BUS_JOIN = Operation("bus", "join", "bus_join", 10000, write=True, idempotent=True, subject="agent_id",
    route=("engine", "POST", "/bus/squads/{squad}/join"), in_path=("squad",))
BUS_LEAVE = Operation("bus", "leave", "bus_leave", 10000, write=True, idempotent=True, subject="agent_id",
    route=("engine", "POST", "/bus/squads/{squad}/leave"), in_path=("squad",))
BUS_MEMBERS = Operation("bus", "members", "bus_members", 10000, idempotent=True,
    route=("engine", "GET", "/bus/squads/{squad}"), in_path=("squad",))
BUS_MEMORY_PUSH = Operation("bus", "memory_push", "bus_memory_push", 10000, write=True, subject="agent_id",
    route=("engine", "POST", "/bus/memory/{agent_id}"), in_path=("agent_id",))
BUS_MEMORY_RECALL = Operation("bus", "memory_recall", "bus_memory_recall", 10000, idempotent=True,
    subject="agent_id", route=("engine", "GET", "/bus/memory/{agent_id}"), in_path=("agent_id",),
    in_query=("limit",))
ENGINE_CHAT = Operation("engine", "chat", "chat", 120000, write=True, subject="agent_id",
    route=("engine", "POST", "/chat"))
ENGINE_CHAT_STREAM = Operation("engine", "chat_stream", "chat_stream", 120000, write=True, stream=True,
    subject="agent_id", route=("engine", "POST", "/chat/stream"))
ENGINE_MODELS = Operation("engine", "models", "models_list", 30000, idempotent=True,
    route=("engine", "GET", "/models"))
ENGINE_HISTORY = Operation("engine", "history", "conversation_history", 30000, idempotent=True, subject="agent_id")
IDENTITY_REGISTER = Operation("identity", "register", "identity_register", 30000, write=True)
IDENTITY_REVOKE = Operation("identity", "revoke", "identity_revoke", 30000, write=True)
IDENTITY_GET = Operation("identity", "get", "identity_get", 30000, idempotent=True,
    route=("identity", "GET", "/agents/{id}"), in_path=("id",))
IDENTITY_LIST = Operation("identity", "list", "identity_list", 30000, idempotent=True,
    route=("identity", "GET", "/agents"), in_query=("limit", "offset"))
IDENTITY_SYNC = Operation("identity", "sync", "identity_sync", 5000, write=True, idempotent=True)
MEMORY_STORE = Operation("memory", "store", "memory_store", 30000, write=True, subject="agent_id",
    route=("memory", "POST", "/store"))
MEMORY_SEARCH = Operation("memory", "search", "memory_query", 30000, idempotent=True,
    route=("memory", "POST", "/search"))
MEMORY_GET = Operation("memory", "get", "memory_get", 30000, write=True, route=("memory", "GET", "/memories/{id}"),
    in_path=("id",), in_query=("embedding",))
MEMORY_DELETE = Operation("memory", "delete", "memory_delete", 30000, write=True, idempotent=True,
    route=("memory", "DELETE", "/memories/{id}"), in_path=("id",))
MEMORY_ADD = Operation("memory", "add", "memory_add", 30000, write=True, route=("memory", "POST", "/add"))
MEMORY_STATS = Operation("memory", "stats", "memory_stats", 30000, idempotent=True,
    route=("memory", "GET", "/stats"), in_query=("agent_id",))

OPERATIONS = {
    "bus.health_check": BUS_HEALTH_CHECK,
    "bus.metrics": BUS_METRICS,
    "bus.directory": BUS_DIRECTORY,
    "bus.tap": BUS_TAP,
    "bus.send": BUS_SEND,
    "bus.inbox": BUS_INBOX,
    "bus.ack": BUS_ACK,
    "bus.nack": BUS_NACK,
    "bus.extend": BUS_EXTEND,
    "bus.listen": BUS_LISTEN,
    "bus.publish": BUS_PUBLISH,
    "bus.history": BUS_HISTORY,
    "bus.channels": BUS_CHANNELS,
    "bus.peers": BUS_PEERS,
    "bus.mailboxes": BUS_MAILBOXES,
    "bus.dead_list": BUS_DEAD_LIST,
    "bus.dead_get": BUS_DEAD_GET,
    "bus.dead_replay": BUS_DEAD_REPLAY,
    "bus.dead_drop": BUS_DEAD_DROP,
    "bus.join": BUS_JOIN,
    "bus.leave": BUS_LEAVE,
    "bus.members": BUS_MEMBERS,
    "bus.memory_push": BUS_MEMORY_PUSH,
    "bus.memory_recall": BUS_MEMORY_RECALL,
    "engine.chat": ENGINE_CHAT,
    "engine.chat_stream": ENGINE_CHAT_STREAM,
    "engine.models": ENGINE_MODELS,
    "engine.history": ENGINE_HISTORY,
    "identity.register": IDENTITY_REGISTER,
    "identity.revoke": IDENTITY_REVOKE,
    "identity.get": IDENTITY_GET,
    "identity.list": IDENTITY_LIST,
    "identity.sync": IDENTITY_SYNC,
    "memory.store": MEMORY_STORE,
    "memory.search": MEMORY_SEARCH,
    "memory.get": MEMORY_GET,
    "memory.delete": MEMORY_DELETE,
    "memory.add": MEMORY_ADD,
    "memory.stats": MEMORY_STATS,
}


class BusService(Service):
    """The broker: inboxes, channels, presence, the tap."""

    def health_check(self, *, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None) -> BusHealthCheckAnswer:
        """Says how the broker is."""
        return cast("BusHealthCheckAnswer", self._call(BUS_HEALTH_CHECK, {}, timeout, capability))

    def metrics(self, *, timeout: Optional[float] = None,
                capability: Optional[Capability] = None) -> BusMetricsAnswer:
        """Gives the broker's metrics as Prometheus text."""
        return cast("BusMetricsAnswer", self._call(BUS_METRICS, {}, timeout, capability))

    def directory(self, *, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None) -> BusDirectoryAnswer:
        """Lists the services that are ready, and how busy they are."""
        return cast("BusDirectoryAnswer", self._call(BUS_DIRECTORY, {}, timeout, capability))

    def history(self, channel: str, *, after: Optional[int] = None, limit: Optional[int] = None,
                timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusHistoryAnswer:
        """Reads back what was said on a channel, oldest first.

        channel: A channel, e.g. squad:engineering or agent:kasra:events
        after: Only events behind this number; 0: the newest ones; 0 when absent
        limit: 100 when absent"""
        return cast("BusHistoryAnswer", self._call(BUS_HISTORY, {"channel": channel, "after": after,
            "limit": limit}, timeout, capability))

    def channels(self, *, pattern: Optional[str] = None, limit: Optional[int] = None,
                 timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusChannelsAnswer:
        """Lists the channels that have subscribers or a history.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusChannelsAnswer", self._call(BUS_CHANNELS, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    def peers(self, *, pattern: Optional[str] = None, limit: Optional[int] = None, timeout: Optional[float] = None,
              capability: Optional[Capability] = None) -> BusPeersAnswer:
        """Says who is connected, and who was a while ago.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusPeersAnswer", self._call(BUS_PEERS, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    def mailboxes(self, *, pattern: Optional[str] = None, limit: Optional[int] = None,
                  timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusMailboxesAnswer:
        """Says how full inboxes are.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusMailboxesAnswer", self._call(BUS_MAILBOXES, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    def dead_list(self, *, agent_id: Optional[str] = None, after: Optional[str] = None, limit: Optional[int] = None,
                  timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusDeadListAnswer:
        """Lists dead letters, oldest first, without their payloads.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        after: The dead_id to go on behind; "" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusDeadListAnswer", self._call(BUS_DEAD_LIST, {"agent_id": agent_id, "after": after,
            "limit": limit}, timeout, capability))

    def dead_get(self, dead_id: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                 capability: Optional[Capability] = None) -> DeadLetter:
        """Shows one dead letter whole.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent"""
        return cast("DeadLetter", self._call(BUS_DEAD_GET, {"agent_id": agent_id,
            "dead_id": dead_id}, timeout, capability))

    def dead_replay(self, *, agent_id: Optional[str] = None, ids: Optional[Sequence[str]] = None,
                    timeout: Optional[float] = None, capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> BusDeadReplayAnswer:
        """Puts dead letters back into the inbox, with all their attempts anew.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        ids: dead_ids; all of them when absent"""
        return cast("BusDeadReplayAnswer", self._call(BUS_DEAD_REPLAY, {"agent_id": agent_id,
            "ids": ids}, timeout, capability, idempotency_key))

    def dead_drop(self, *, agent_id: Optional[str] = None, ids: Optional[Sequence[str]] = None,
                  timeout: Optional[float] = None, capability: Optional[Capability] = None,
                  idempotency_key: Optional[str] = None) -> BusDeadDropAnswer:
        """Drops dead letters for good.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        ids: dead_ids; all of them when absent"""
        return cast("BusDeadDropAnswer", self._call(BUS_DEAD_DROP, {"agent_id": agent_id,
            "ids": ids}, timeout, capability, idempotency_key))

    def join(self, squad: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
             capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> BusJoinAnswer:
        """Makes an agent get a copy of the mail to a squad, also while it is away.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("BusJoinAnswer", self._call(BUS_JOIN, {"squad": squad,
            "agent_id": agent_id}, timeout, capability, idempotency_key))

    def leave(self, squad: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
              capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> BusJoinAnswer:
        """Ends what join began.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("BusJoinAnswer", self._call(BUS_LEAVE, {"squad": squad,
            "agent_id": agent_id}, timeout, capability, idempotency_key))

    def members(self, squad: str, *, timeout: Optional[float] = None,
                capability: Optional[Capability] = None) -> BusMembersAnswer:
        """Lists who gets the mail to a squad."""
        return cast("BusMembersAnswer", self._call(BUS_MEMBERS, {"squad": squad}, timeout, capability))

    def memory_push(self, item: Any, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> BusMemoryPushAnswer:
        """Puts an item on an agent's working memory, which keeps the last 50.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        item: Any value, at most 16 KiB packed"""
        return cast("BusMemoryPushAnswer", self._call(BUS_MEMORY_PUSH, {"agent_id": agent_id,
            "item": item}, timeout, capability, idempotency_key))

    def memory_recall(self, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
                      timeout: Optional[float] = None,
                      capability: Optional[Capability] = None) -> BusMemoryRecallAnswer:
        """Gives an agent's working memory, newest first.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        limit: 50 when absent"""
        return cast("BusMemoryRecallAnswer", self._call(BUS_MEMORY_RECALL, {"agent_id": agent_id,
            "limit": limit}, timeout, capability))


class AsyncBusService(AsyncService):
    """The broker: inboxes, channels, presence, the tap."""

    async def health_check(self, *, timeout: Optional[float] = None,
                           capability: Optional[Capability] = None) -> BusHealthCheckAnswer:
        """Says how the broker is."""
        return cast("BusHealthCheckAnswer", await self._call(BUS_HEALTH_CHECK, {}, timeout, capability))

    async def metrics(self, *, timeout: Optional[float] = None,
                      capability: Optional[Capability] = None) -> BusMetricsAnswer:
        """Gives the broker's metrics as Prometheus text."""
        return cast("BusMetricsAnswer", await self._call(BUS_METRICS, {}, timeout, capability))

    async def directory(self, *, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> BusDirectoryAnswer:
        """Lists the services that are ready, and how busy they are."""
        return cast("BusDirectoryAnswer", await self._call(BUS_DIRECTORY, {}, timeout, capability))

    async def history(self, channel: str, *, after: Optional[int] = None, limit: Optional[int] = None,
                      timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusHistoryAnswer:
        """Reads back what was said on a channel, oldest first.

        channel: A channel, e.g. squad:engineering or agent:kasra:events
        after: Only events behind this number; 0: the newest ones; 0 when absent
        limit: 100 when absent"""
        return cast("BusHistoryAnswer", await self._call(BUS_HISTORY, {"channel": channel, "after": after,
            "limit": limit}, timeout, capability))

    async def channels(self, *, pattern: Optional[str] = None, limit: Optional[int] = None,
                       timeout: Optional[float] = None,
                       capability: Optional[Capability] = None) -> BusChannelsAnswer:
        """Lists the channels that have subscribers or a history.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusChannelsAnswer", await self._call(BUS_CHANNELS, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    async def peers(self, *, pattern: Optional[str] = None, limit: Optional[int] = None,
                    timeout: Optional[float] = None, capability: Optional[Capability] = None) -> BusPeersAnswer:
        """Says who is connected, and who was a while ago.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusPeersAnswer", await self._call(BUS_PEERS, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    async def mailboxes(self, *, pattern: Optional[str] = None, limit: Optional[int] = None,
                        timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> BusMailboxesAnswer:
        """Says how full inboxes are.

        pattern: "*" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusMailboxesAnswer", await self._call(BUS_MAILBOXES, {"pattern": pattern,
            "limit": limit}, timeout, capability))

    async def dead_list(self, *, agent_id: Optional[str] = None, after: Optional[str] = None,
                        limit: Optional[int] = None, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> BusDeadListAnswer:
        """Lists dead letters, oldest first, without their payloads.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        after: The dead_id to go on behind; "" when absent
        limit: How many at most; 100 when absent"""
        return cast("BusDeadListAnswer", await self._call(BUS_DEAD_LIST, {"agent_id": agent_id, "after": after,
            "limit": limit}, timeout, capability))

    async def dead_get(self, dead_id: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                       capability: Optional[Capability] = None) -> DeadLetter:
        """Shows one dead letter whole.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent"""
        return cast("DeadLetter", await self._call(BUS_DEAD_GET, {"agent_id": agent_id,
            "dead_id": dead_id}, timeout, capability))

    async def dead_replay(self, *, agent_id: Optional[str] = None, ids: Optional[Sequence[str]] = None,
                          timeout: Optional[float] = None, capability: Optional[Capability] = None,
                          idempotency_key: Optional[str] = None) -> BusDeadReplayAnswer:
        """Puts dead letters back into the inbox, with all their attempts anew.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        ids: dead_ids; all of them when absent"""
        return cast("BusDeadReplayAnswer", await self._call(BUS_DEAD_REPLAY, {"agent_id": agent_id,
            "ids": ids}, timeout, capability, idempotency_key))

    async def dead_drop(self, *, agent_id: Optional[str] = None, ids: Optional[Sequence[str]] = None,
                        timeout: Optional[float] = None, capability: Optional[Capability] = None,
                        idempotency_key: Optional[str] = None) -> BusDeadDropAnswer:
        """Drops dead letters for good.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        ids: dead_ids; all of them when absent"""
        return cast("BusDeadDropAnswer", await self._call(BUS_DEAD_DROP, {"agent_id": agent_id,
            "ids": ids}, timeout, capability, idempotency_key))

    async def join(self, squad: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> BusJoinAnswer:
        """Makes an agent get a copy of the mail to a squad, also while it is away.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("BusJoinAnswer", await self._call(BUS_JOIN, {"squad": squad,
            "agent_id": agent_id}, timeout, capability, idempotency_key))

    async def leave(self, squad: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> BusJoinAnswer:
        """Ends what join began.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("BusJoinAnswer", await self._call(BUS_LEAVE, {"squad": squad,
            "agent_id": agent_id}, timeout, capability, idempotency_key))

    async def members(self, squad: str, *, timeout: Optional[float] = None,
                      capability: Optional[Capability] = None) -> BusMembersAnswer:
        """Lists who gets the mail to a squad."""
        return cast("BusMembersAnswer", await self._call(BUS_MEMBERS, {"squad": squad}, timeout, capability))

    async def memory_push(self, item: Any, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                          capability: Optional[Capability] = None,
                          idempotency_key: Optional[str] = None) -> BusMemoryPushAnswer:
        """Puts an item on an agent's working memory, which keeps the last 50.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        item: Any value, at most 16 KiB packed"""
        return cast("BusMemoryPushAnswer", await self._call(BUS_MEMORY_PUSH, {"agent_id": agent_id,
            "item": item}, timeout, capability, idempotency_key))

    async def memory_recall(self, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
                            timeout: Optional[float] = None,
                            capability: Optional[Capability] = None) -> BusMemoryRecallAnswer:
        """Gives an agent's working memory, newest first.

        agent_id: Whose inbox, e.g. agent:kasra; the client itself when absent
        limit: 50 when absent"""
        return cast("BusMemoryRecallAnswer", await self._call(BUS_MEMORY_RECALL, {"agent_id": agent_id,
            "limit": limit}, timeout, capability))


class EngineService(Service):
    """Answers: recalls, asks a model, keeps the conversation."""

    def chat(self, message: str, *, agent_id: Optional[str] = None, conversation_id: Optional[str] = None,
             model: Optional[str] = None, tools_enabled: Optional[bool] = None,
             memory_enabled: Optional[bool] = None, witness_enabled: Optional[bool] = None,
             metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
             capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> EngineChatAnswer:
        """Answers a message; with stream=true piece by piece.

        message: What is said to the agent
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation; a new one when absent
        model: A name from /models; the default model when absent
        tools_enabled: The model may call tools; false when absent
        memory_enabled: Recall before, remember after; true when absent
        witness_enabled: The answer waits for a person's vote; false when absent
        metadata: Free entries, kept and given back"""
        return cast("EngineChatAnswer", self._call(ENGINE_CHAT, {"message": message, "agent_id": agent_id,
            "conversation_id": conversation_id, "model": model, "tools_enabled": tools_enabled,
            "memory_enabled": memory_enabled, "witness_enabled": witness_enabled,
            "metadata": metadata}, timeout, capability, idempotency_key))

    def chat_stream(self, message: str, *, agent_id: Optional[str] = None, conversation_id: Optional[str] = None,
                    model: Optional[str] = None, tools_enabled: Optional[bool] = None,
                    memory_enabled: Optional[bool] = None, witness_enabled: Optional[bool] = None,
                    stream: Optional[bool] = None, metadata: Optional[Mapping[str, Any]] = None,
                    timeout: Optional[float] = None, capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> Stream[EngineChatStreamChunk, EngineChatAnswer]:
        """Answers a message piece by piece.

        message: What is said to the agent
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation; a new one when absent
        model: A name from /models; the default model when absent
        tools_enabled: The model may call tools; false when absent
        memory_enabled: Recall before, remember after; true when absent
        witness_enabled: The answer waits for a person's vote; false when absent
        stream: Answer as server-sent events; false when absent
        metadata: Free entries, kept and given back"""
        return self._stream(ENGINE_CHAT_STREAM, {"message": message, "agent_id": agent_id,
            "conversation_id": conversation_id, "model": model, "tools_enabled": tools_enabled,
            "memory_enabled": memory_enabled, "witness_enabled": witness_enabled, "stream": stream,
            "metadata": metadata}, timeout, capability, idempotency_key)

    def models(self, *, timeout: Optional[float] = None,
               capability: Optional[Capability] = None) -> List[EngineModelsRow]:
        """Lists the models that can be asked."""
        return cast("List[EngineModelsRow]", self._call(ENGINE_MODELS, {}, timeout, capability))

    def history(self, conversation_id: str, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
                timeout: Optional[float] = None, capability: Optional[Capability] = None) -> EngineHistoryAnswer:
        """Gives the newest turns of a conversation, oldest first; fewer where they would not fit into one answer.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation, as its answers name it
        limit: How many turns at most; 50 when absent"""
        return cast("EngineHistoryAnswer", self._call(ENGINE_HISTORY, {"agent_id": agent_id,
            "conversation_id": conversation_id, "limit": limit}, timeout, capability))

    __call__ = chat

    stream = chat_stream


class AsyncEngineService(AsyncService):
    """Answers: recalls, asks a model, keeps the conversation."""

    async def chat(self, message: str, *, agent_id: Optional[str] = None, conversation_id: Optional[str] = None,
                   model: Optional[str] = None, tools_enabled: Optional[bool] = None,
                   memory_enabled: Optional[bool] = None, witness_enabled: Optional[bool] = None,
                   metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None,
                   idempotency_key: Optional[str] = None) -> EngineChatAnswer:
        """Answers a message; with stream=true piece by piece.

        message: What is said to the agent
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation; a new one when absent
        model: A name from /models; the default model when absent
        tools_enabled: The model may call tools; false when absent
        memory_enabled: Recall before, remember after; true when absent
        witness_enabled: The answer waits for a person's vote; false when absent
        metadata: Free entries, kept and given back"""
        return cast("EngineChatAnswer", await self._call(ENGINE_CHAT, {"message": message, "agent_id": agent_id,
            "conversation_id": conversation_id, "model": model, "tools_enabled": tools_enabled,
            "memory_enabled": memory_enabled, "witness_enabled": witness_enabled,
            "metadata": metadata}, timeout, capability, idempotency_key))

    def chat_stream(self, message: str, *, agent_id: Optional[str] = None, conversation_id: Optional[str] = None,
                    model: Optional[str] = None, tools_enabled: Optional[bool] = None,
                    memory_enabled: Optional[bool] = None, witness_enabled: Optional[bool] = None,
                    stream: Optional[bool] = None, metadata: Optional[Mapping[str, Any]] = None,
                    timeout: Optional[float] = None, capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> AsyncStream[EngineChatStreamChunk, EngineChatAnswer]:
        """Answers a message piece by piece.

        message: What is said to the agent
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation; a new one when absent
        model: A name from /models; the default model when absent
        tools_enabled: The model may call tools; false when absent
        memory_enabled: Recall before, remember after; true when absent
        witness_enabled: The answer waits for a person's vote; false when absent
        stream: Answer as server-sent events; false when absent
        metadata: Free entries, kept and given back"""
        return self._stream(ENGINE_CHAT_STREAM, {"message": message, "agent_id": agent_id,
            "conversation_id": conversation_id, "model": model, "tools_enabled": tools_enabled,
            "memory_enabled": memory_enabled, "witness_enabled": witness_enabled, "stream": stream,
            "metadata": metadata}, timeout, capability, idempotency_key)

    async def models(self, *, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None) -> List[EngineModelsRow]:
        """Lists the models that can be asked."""
        return cast("List[EngineModelsRow]", await self._call(ENGINE_MODELS, {}, timeout, capability))

    async def history(self, conversation_id: str, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
                      timeout: Optional[float] = None,
                      capability: Optional[Capability] = None) -> EngineHistoryAnswer:
        """Gives the newest turns of a conversation, oldest first; fewer where they would not fit into one answer.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        conversation_id: The conversation, as its answers name it
        limit: How many turns at most; 50 when absent"""
        return cast("EngineHistoryAnswer", await self._call(ENGINE_HISTORY, {"agent_id": agent_id,
            "conversation_id": conversation_id, "limit": limit}, timeout, capability))

    __call__ = chat

    stream = chat_stream


class IdentityService(Service):
    """Who takes part, and by which keys."""

    def register(self, agent_id: str, curve_public_key: str, *, name: Optional[str] = None,
                 model: Optional[str] = None, public_key: Optional[str] = None, timeout: Optional[float] = None,
                 capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Lets an agent's key onto the bus.

        agent_id: The agent that the call acts for, e.g. agent:kasra
        curve_public_key: The agent's CURVE key in Z85
        name: For people
        model: The model that the agent runs on
        public_key: The agent's Ed25519 key in hex"""
        return cast("AgentRecord", self._call(IDENTITY_REGISTER, {"agent_id": agent_id,
            "curve_public_key": curve_public_key, "name": name, "model": model,
            "public_key": public_key}, timeout, capability, idempotency_key))

    def revoke(self, agent_id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
               capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Takes an agent's keys off the bus and cuts its sessions.

        agent_id: The agent that the call acts for, e.g. agent:kasra
        reason: Kept in the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_REVOKE, {"agent_id": agent_id,
            "reason": reason}, timeout, capability, idempotency_key))

    def get(self, id: str, *, timeout: Optional[float] = None,
            capability: Optional[Capability] = None) -> AgentRecord:
        """Gives one agent.

        id: The agent, e.g. agent:kasra"""
        return cast("AgentRecord", self._call(IDENTITY_GET, {"id": id}, timeout, capability))

    def list(self, *, limit: Optional[int] = None, offset: Optional[int] = None, timeout: Optional[float] = None,
             capability: Optional[Capability] = None) -> List[AgentRecord]:
        """Lists agents, newest first; fewer than the limit where they would not fit into one answer.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[AgentRecord]", self._call(IDENTITY_LIST, {"limit": limit,
            "offset": offset}, timeout, capability))

    def sync(self, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
             idempotency_key: Optional[str] = None) -> IdentitySyncAnswer:
        """Finishes what the broker has not confirmed, and takes over keys that were added offline; the service asks itself."""
        return cast("IdentitySyncAnswer", self._call(IDENTITY_SYNC, {}, timeout, capability, idempotency_key))


class AsyncIdentityService(AsyncService):
    """Who takes part, and by which keys."""

    async def register(self, agent_id: str, curve_public_key: str, *, name: Optional[str] = None,
                       model: Optional[str] = None, public_key: Optional[str] = None,
                       timeout: Optional[float] = None, capability: Optional[Capability] = None,
                       idempotency_key: Optional[str] = None) -> AgentRecord:
        """Lets an agent's key onto the bus.

        agent_id: The agent that the call acts for, e.g. agent:kasra
        curve_public_key: The agent's CURVE key in Z85
        name: For people
        model: The model that the agent runs on
        public_key: The agent's Ed25519 key in hex"""
        return cast("AgentRecord", await self._call(IDENTITY_REGISTER, {"agent_id": agent_id,
            "curve_public_key": curve_public_key, "name": name, "model": model,
            "public_key": public_key}, timeout, capability, idempotency_key))

    async def revoke(self, agent_id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Takes an agent's keys off the bus and cuts its sessions.

        agent_id: The agent that the call acts for, e.g. agent:kasra
        reason: Kept in the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_REVOKE, {"agent_id": agent_id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def get(self, id: str, *, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None) -> AgentRecord:
        """Gives one agent.

        id: The agent, e.g. agent:kasra"""
        return cast("AgentRecord", await self._call(IDENTITY_GET, {"id": id}, timeout, capability))

    async def list(self, *, limit: Optional[int] = None, offset: Optional[int] = None,
                   timeout: Optional[float] = None, capability: Optional[Capability] = None) -> List[AgentRecord]:
        """Lists agents, newest first; fewer than the limit where they would not fit into one answer.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[AgentRecord]", await self._call(IDENTITY_LIST, {"limit": limit,
            "offset": offset}, timeout, capability))

    async def sync(self, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
                   idempotency_key: Optional[str] = None) -> IdentitySyncAnswer:
        """Finishes what the broker has not confirmed, and takes over keys that were added offline; the service asks itself."""
        return cast("IdentitySyncAnswer", await self._call(IDENTITY_SYNC, {}, timeout, capability, idempotency_key))


class MemoryService(Service):
    """What agents remember."""

    def store(self, content: str, *, agent_id: Optional[str] = None,
              memory_type: Optional[Literal["engram", "fact", "episode", "skill", "context"]] = None,
              importance: Optional[float] = None, metadata: Optional[Mapping[str, Any]] = None,
              timeout: Optional[float] = None, capability: Optional[Capability] = None,
              idempotency_key: Optional[str] = None) -> MemoryStoreAnswer:
        """Keeps a memory.

        content: What to remember
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        memory_type: The kind of memory; "engram" when absent
        importance: How much it matters; 0.5 when absent
        metadata: Free entries, kept and given back"""
        return cast("MemoryStoreAnswer", self._call(MEMORY_STORE, {"content": content, "agent_id": agent_id,
            "memory_type": memory_type, "importance": importance,
            "metadata": metadata}, timeout, capability, idempotency_key))

    def search(self, query: str, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
               min_similarity: Optional[float] = None,
               memory_types: Optional[Sequence[Literal["engram", "fact", "episode", "skill", "context"]]] = None,
               include_relations: Optional[bool] = None, timeout: Optional[float] = None,
               capability: Optional[Capability] = None) -> Union[List[MemorySearchRow], MemorySearchShort]:
        """Finds memories by meaning and by words; without agent_id those of the agent shared, in the short form.

        query: What to look for
        agent_id: The agent that the call acts for, e.g. agent:kasra
        limit: How many at most; 10 when absent
        min_similarity: Leaves out what is less alike
        memory_types: Only these kinds
        include_relations: Gives each memory's relations; false when absent"""
        return cast("Union[List[MemorySearchRow], MemorySearchShort]", self._call(MEMORY_SEARCH, {"query": query,
            "agent_id": agent_id, "limit": limit, "min_similarity": min_similarity, "memory_types": memory_types,
            "include_relations": include_relations}, timeout, capability))

    def get(self, id: str, *, embedding: Optional[bool] = None, timeout: Optional[float] = None,
            capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> Memory:
        """Gives one memory; counts as an access.

        id: The memory's id
        embedding: Gives its embedding too; false when absent"""
        return cast("Memory", self._call(MEMORY_GET, {"id": id,
            "embedding": embedding}, timeout, capability, idempotency_key))

    def delete(self, id: str, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
               idempotency_key: Optional[str] = None) -> MemoryDeleteAnswer:
        """Forgets one memory; deleted is false when there was none.

        id: The memory's id"""
        return cast("MemoryDeleteAnswer", self._call(MEMORY_DELETE, {
            "id": id}, timeout, capability, idempotency_key))

    def add(self, content: str, *, metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
            capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> MemoryAddAnswer:
        """Keeps a memory of no particular agent, under the agent shared; the short form of store.

        content: What to remember
        metadata: Free entries, kept and given back"""
        return cast("MemoryAddAnswer", self._call(MEMORY_ADD, {"content": content,
            "metadata": metadata}, timeout, capability, idempotency_key))

    def stats(self, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
              capability: Optional[Capability] = None) -> Dict[str, Any]:
        """Counts memories, bytes and index entries, of one agent or of all.

        agent_id: The agent that the call acts for, e.g. agent:kasra"""
        return cast("Dict[str, Any]", self._call(MEMORY_STATS, {"agent_id": agent_id}, timeout, capability))


class AsyncMemoryService(AsyncService):
    """What agents remember."""

    async def store(self, content: str, *, agent_id: Optional[str] = None,
                    memory_type: Optional[Literal["engram", "fact", "episode", "skill", "context"]] = None,
                    importance: Optional[float] = None, metadata: Optional[Mapping[str, Any]] = None,
                    timeout: Optional[float] = None, capability: Optional[Capability] = None,
                    idempotency_key: Optional[str] = None) -> MemoryStoreAnswer:
        """Keeps a memory.

        content: What to remember
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        memory_type: The kind of memory; "engram" when absent
        importance: How much it matters; 0.5 when absent
        metadata: Free entries, kept and given back"""
        return cast("MemoryStoreAnswer", await self._call(MEMORY_STORE, {"content": content, "agent_id": agent_id,
            "memory_type": memory_type, "importance": importance,
            "metadata": metadata}, timeout, capability, idempotency_key))

    async def search(self, query: str, *, agent_id: Optional[str] = None, limit: Optional[int] = None,
                     min_similarity: Optional[float] = None,
                     memory_types: Optional[Sequence[Literal["engram", "fact", "episode", "skill", "context"]]] = None,
                     include_relations: Optional[bool] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None) -> Union[List[MemorySearchRow], MemorySearchShort]:
        """Finds memories by meaning and by words; without agent_id those of the agent shared, in the short form.

        query: What to look for
        agent_id: The agent that the call acts for, e.g. agent:kasra
        limit: How many at most; 10 when absent
        min_similarity: Leaves out what is less alike
        memory_types: Only these kinds
        include_relations: Gives each memory's relations; false when absent"""
        return cast("Union[List[MemorySearchRow], MemorySearchShort]", await self._call(MEMORY_SEARCH, {
            "query": query, "agent_id": agent_id, "limit": limit, "min_similarity": min_similarity,
            "memory_types": memory_types, "include_relations": include_relations}, timeout, capability))

    async def get(self, id: str, *, embedding: Optional[bool] = None, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> Memory:
        """Gives one memory; counts as an access.

        id: The memory's id
        embedding: Gives its embedding too; false when absent"""
        return cast("Memory", await self._call(MEMORY_GET, {"id": id,
            "embedding": embedding}, timeout, capability, idempotency_key))

    async def delete(self, id: str, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
                     idempotency_key: Optional[str] = None) -> MemoryDeleteAnswer:
        """Forgets one memory; deleted is false when there was none.

        id: The memory's id"""
        return cast("MemoryDeleteAnswer", await self._call(MEMORY_DELETE, {
            "id": id}, timeout, capability, idempotency_key))

    async def add(self, content: str, *, metadata: Optional[Mapping[str, Any]] = None,
                  timeout: Optional[float] = None, capability: Optional[Capability] = None,
                  idempotency_key: Optional[str] = None) -> MemoryAddAnswer:
        """Keeps a memory of no particular agent, under the agent shared; the short form of store.

        content: What to remember
        metadata: Free entries, kept and given back"""
        return cast("MemoryAddAnswer", await self._call(MEMORY_ADD, {"content": content,
            "metadata": metadata}, timeout, capability, idempotency_key))

    async def stats(self, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None) -> Dict[str, Any]:
        """Counts memories, bytes and index entries, of one agent or of all.

        agent_id: The agent that the call acts for, e.g. agent:kasra"""
        return cast("Dict[str, Any]", await self._call(MEMORY_STATS, {"agent_id": agent_id}, timeout, capability))


class Services:
    """The services of a client."""

    def __init__(self, caller: SyncCaller) -> None:
        self.engine = EngineService(caller)
        self.chat = self.engine
        self.identity = IdentityService(caller)
        self.memory = MemoryService(caller)


class AsyncServices:
    """The services of a client."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.engine = AsyncEngineService(caller)
        self.chat = self.engine
        self.identity = AsyncIdentityService(caller)
        self.memory = AsyncMemoryService(caller)
