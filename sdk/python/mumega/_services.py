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


class CapabilityToken(TypedDict):
    id: str
    subject: str
    action: str
    resource: str
    constraints: Dict[str, Any]
    issued_at: str
    expires_at: str
    issuer: str
    uses_remaining: Optional[int]
    parent_id: Optional[str]
    signature: str  # ed25519:<128 hex digits>


class CapabilityRecord(TypedDict):
    id: str
    subject: str
    action: str
    resource: str
    constraints: Dict[str, Any]
    issued_at: str
    expires_at: str
    issuer: str
    uses_remaining: Optional[int]  # When it was issued
    parent_id: Optional[str]
    state: Literal["issued", "used_up", "expired", "revoked"]
    uses_left: Optional[int]
    changed_at: str
    changed_by: Optional[str]  # Who revoked it
    reason: Optional[str]


class ApprovalRecord(TypedDict):
    approval_id: str
    status: Literal["pending", "approved", "denied", "expired"]
    agent_id: str
    action: str
    resource: str
    constraints: Dict[str, Any]
    uses: Optional[int]
    expires_in: int
    justification: Optional[str]
    reason: Optional[str]  # Of the policy's rule
    decided_by: Optional[str]
    decision: Optional[str]  # Why it was decided so
    capability_id: Optional[str]
    created_at: str
    expires_at: str
    decided_at: Optional[str]


class UserRecord(TypedDict):
    id: str
    type: str
    name: str
    bio: Optional[str]
    avatar_url: Optional[str]
    level: int
    xp: int
    roles: List[str]
    public_key: Optional[str]
    metadata: Dict[str, Any]
    created_at: str
    verification_status: Literal["unverified", "pending", "verified", "revoked"]
    verified_at: Optional[str]
    guilds: List[str]


class GuildRecord(TypedDict):
    id: str
    type: str
    name: str
    owner_id: str
    description: str
    members: List[str]  # At most 400; /guilds/{id}/members gives all
    member_roles: Dict[str, Any]  # By member: leader or member
    channels: List[str]
    created_at: str


AgentRecordHistory = TypedDict("AgentRecordHistory", {
    "from": str,
    "to": str,
    "action": str,
    "actor": str,
    "time": str,
    "reason": Optional[str],
})


class _AgentRecord(TypedDict):
    agent_id: str
    name: Optional[str]
    model: Optional[str]
    public_key: Optional[str]  # Ed25519, 64 hex digits
    curve_public_key: Optional[str]  # CURVE, 40 characters of Z85
    status: Literal["pending", "registered", "revoking", "revoked", "none"]  # Of its key for the bus
    created_at: str
    revoked_at: Optional[str]
    state: Literal["anonymous", "identified", "verified", "squad_assigned", "active", "suspended", "terminated"]
    squad_id: Optional[str]
    old_curve_public_key: Optional[str]  # The key before, while it still works
    old_key_until: Optional[str]


class AgentRecord(_AgentRecord, total=False):
    history: List[AgentRecordHistory]  # Oldest first, the last 64 steps; not in lists of agents
    metadata: Dict[str, Any]  # As it was claimed; not in lists of agents
    challenge: str  # After identify: the text to sign with the Ed25519 key
    challenge_expires_at: str


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


class EngineRefreshKeyAnswer(TypedDict):
    trouble: Optional[str]  # Why the model cannot be asked


class IdentityGuildJoinAnswer(TypedDict):
    status: str
    guild_id: str


class IdentityGuildMembersRow(TypedDict):
    id: str
    name: str
    role: Literal["leader", "member"]


class IdentitySyncAnswer(TypedDict):
    adopted: int
    finished: int


class IdentityPairingCreateAnswer(TypedDict):
    code: str  # Eight characters, good for one approval
    channel: str
    sender_id: str
    agent_id: str
    issued_at: str
    expires_at: str
    status: Literal["pending", "approved", "locked"]


class IdentityPairingApproveAnswer(TypedDict):
    ok: bool
    channel: str
    sender_id: str
    agent_id: str
    approver_id: str
    approved_at: str
    expires_at: str  # The capability's end
    capability: Dict[str, Any]  # tool:execute on channel:<channel>:sender:<id>, signed


class IdentityPairingSummaryAnswer(TypedDict):
    pending: int  # Codes that wait for somebody who approves
    expired: int  # Codes that nobody approved in time
    locked: int  # Codes that too many wrong guesses ended
    closed_channels: int  # Closed for a while by wrong guesses
    allowed: int  # Senders whose capability holds
    allowed_ended: int  # Senders whose capability has ended


class IdentityAllowlistListRow(TypedDict):
    channel: str
    sender_id: str
    agent_id: str
    approver_id: str
    capability_id: str
    approved_at: str
    expires_at: str  # Of the capability; the entry stays


class IdentityAllowlistRemoveAnswer(TypedDict):
    deleted: bool
    channel: str
    sender_id: str


class IdentitySecretSetAnswer(TypedDict):
    name: str
    created: bool  # There was none of this name
    created_at: str
    updated_at: str


class IdentitySecretGetAnswer(TypedDict):
    name: str
    value: str
    updated_at: str


class IdentitySecretListRow(TypedDict):
    name: str
    created_at: str
    updated_at: str


class IdentitySecretRemoveAnswer(TypedDict):
    removed: bool


class IdentityPolicyAnswer(TypedDict):
    edition: str
    description: str
    rules: List[Dict[str, Any]]
    features: Dict[str, Any]  # name -> boolean
    quotas: Dict[str, Any]  # name -> whole number


class IdentityCapabilityRequestShort(TypedDict):
    approval_id: str
    status: Literal["pending"]
    agent_id: str
    action: str
    resource: str
    reason: Optional[str]
    expires_at: str


class IdentityCapabilityVerifyAnswer(TypedDict):
    valid: bool
    detail: Optional[str]  # The word that it is refused with
    message: Optional[str]
    capability: Optional[CapabilityRecord]
    ancestors: List[str]  # Ids, the parent first


class IdentityCapabilityRevokeAnswer(TypedDict):
    capability: CapabilityRecord
    revoked: int  # How many, with its descendants


class IdentityApprovalGetAnswer(TypedDict):
    approval: ApprovalRecord
    capability: Optional[CapabilityToken]


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
ENGINE_REFRESH_KEY = Operation("engine", "refresh_key", "engine_refresh_key", 10000, idempotent=True)
IDENTITY_REGISTER = Operation("identity", "register", "identity_register", 30000, write=True)
IDENTITY_REVOKE = Operation("identity", "revoke", "identity_revoke", 30000, write=True)
IDENTITY_GET = Operation("identity", "get", "identity_get", 30000, idempotent=True,
    route=("identity", "GET", "/agents/{id}"), in_path=("id",))
IDENTITY_LIST = Operation("identity", "list", "identity_list", 30000, idempotent=True,
    route=("identity", "GET", "/agents"), in_query=("limit", "offset"))
IDENTITY_USER_CREATE = Operation("identity", "user_create", "identity_user_create", 30000, write=True,
    route=("identity", "POST", "/users/create"))
IDENTITY_USER_GET = Operation("identity", "user_get", "identity_user_get", 30000, idempotent=True,
    route=("identity", "GET", "/users/{id}"), in_path=("id",))
IDENTITY_GUILD_CREATE = Operation("identity", "guild_create", "identity_guild_create", 30000, write=True,
    subject="owner_id", route=("identity", "POST", "/guilds/create"))
IDENTITY_GUILD_JOIN = Operation("identity", "guild_join", "identity_guild_join", 30000, write=True,
    subject="user_id", route=("identity", "POST", "/guilds/join"))
IDENTITY_GUILD_GET = Operation("identity", "guild_get", "identity_guild_get", 30000, idempotent=True,
    route=("identity", "GET", "/guilds/{id}"), in_path=("id",))
IDENTITY_GUILD_MEMBERS = Operation("identity", "guild_members", "identity_guild_members", 30000, idempotent=True,
    route=("identity", "GET", "/guilds/{id}/members"), in_path=("id",), in_query=("limit", "offset"))
IDENTITY_IDENTIFY = Operation("identity", "identify", "identity_identify", 30000, write=True, subject="agent_id",
    route=("identity", "POST", "/agents/identify"))
IDENTITY_VERIFY = Operation("identity", "verify", "identity_verify", 30000, write=True, subject="id",
    route=("identity", "POST", "/agents/{id}/verify"), in_path=("id",))
IDENTITY_REJECT = Operation("identity", "reject", "identity_reject", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/reject"), in_path=("id",))
IDENTITY_ASSIGN_SQUAD = Operation("identity", "assign_squad", "identity_assign_squad", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/assign_squad"), in_path=("id",))
IDENTITY_ACTIVATE = Operation("identity", "activate", "identity_activate", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/activate"), in_path=("id",))
IDENTITY_SUSPEND = Operation("identity", "suspend", "identity_suspend", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/suspend"), in_path=("id",))
IDENTITY_REACTIVATE = Operation("identity", "reactivate", "identity_reactivate", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/reactivate"), in_path=("id",))
IDENTITY_TERMINATE = Operation("identity", "terminate", "identity_terminate", 30000, write=True,
    route=("identity", "POST", "/agents/{id}/terminate"), in_path=("id",))
IDENTITY_ROTATE_KEY = Operation("identity", "rotate_key", "identity_rotate_key", 30000, write=True,
    subject="agent_id")
IDENTITY_SYNC = Operation("identity", "sync", "identity_sync", 5000, write=True, idempotent=True)
IDENTITY_PAIRING_CREATE = Operation("identity", "pairing_create", "pairing_create", 30000, write=True,
    subject="agent_id", route=("identity", "POST", "/pairing/create"))
IDENTITY_PAIRING_APPROVE = Operation("identity", "pairing_approve", "pairing_approve", 30000, write=True,
    subject="approver_id", route=("identity", "POST", "/pairing/approve"))
IDENTITY_PAIRING_SUMMARY = Operation("identity", "pairing_summary", "pairing_summary", 10000, idempotent=True)
IDENTITY_ALLOWLIST_LIST = Operation("identity", "allowlist_list", "allowlist_list", 30000, idempotent=True,
    route=("identity", "GET", "/allowlist/{channel}"), in_path=("channel",), in_query=("limit", "offset"))
IDENTITY_ALLOWLIST_REMOVE = Operation("identity", "allowlist_remove", "allowlist_remove", 30000, write=True,
    route=("identity", "DELETE", "/allowlist/{channel}/{sender_id}"), in_path=("channel", "sender_id"))
IDENTITY_SECRET_SET = Operation("identity", "secret_set", "secret_set", 30000, write=True)
IDENTITY_SECRET_GET = Operation("identity", "secret_get", "secret_get", 30000)
IDENTITY_SECRET_LIST = Operation("identity", "secret_list", "secret_list", 30000)
IDENTITY_SECRET_REMOVE = Operation("identity", "secret_remove", "secret_remove", 30000, write=True)
IDENTITY_POLICY = Operation("identity", "policy", "policy", 10000, idempotent=True,
    route=("identity", "GET", "/policy"))
IDENTITY_POLICY_OF = Operation("identity", "policy_of", "policy_of", 10000, idempotent=True,
    route=("identity", "GET", "/policy/{edition}"), in_path=("edition",))
IDENTITY_CAPABILITY_REQUEST = Operation("identity", "capability_request", "capability_request", 30000, write=True,
    subject="agent_id", route=("identity", "POST", "/capabilities/request"))
IDENTITY_CAPABILITY_ISSUE = Operation("identity", "capability_issue", "capability_issue", 30000, write=True,
    route=("identity", "POST", "/capabilities/issue"))
IDENTITY_CAPABILITY_DELEGATE = Operation("identity", "capability_delegate", "capability_delegate", 30000,
    write=True, route=("identity", "POST", "/capabilities/delegate"))
IDENTITY_CAPABILITY_VERIFY = Operation("identity", "capability_verify", "capability_verify", 10000, idempotent=True,
    route=("identity", "POST", "/capabilities/verify"))
IDENTITY_CAPABILITY_REVOKE = Operation("identity", "capability_revoke", "capability_revoke", 30000, write=True,
    route=("identity", "POST", "/capabilities/{id}/revoke"), in_path=("id",))
IDENTITY_CAPABILITY_LIST = Operation("identity", "capability_list", "capability_list", 30000, idempotent=True,
    route=("identity", "GET", "/capabilities"), in_query=("subject", "limit", "offset"))
IDENTITY_CAPABILITY_USE = Operation("identity", "capability_use", "capability_use", 10000, write=True,
    idempotent=True)
IDENTITY_APPROVALS = Operation("identity", "approvals", "approvals", 30000, idempotent=True,
    route=("identity", "GET", "/capabilities/approvals"), in_query=("status", "limit"))
IDENTITY_APPROVAL_GET = Operation("identity", "approval_get", "approval_get", 10000, idempotent=True,
    subject="agent_id", route=("identity", "GET", "/capabilities/approvals/{approval_id}"),
    in_path=("approval_id",), in_query=("agent_id",))
IDENTITY_APPROVAL_APPROVE = Operation("identity", "approval_approve", "approval_approve", 30000, write=True,
    route=("identity", "POST", "/capabilities/approvals/{approval_id}/approve"), in_path=("approval_id",))
IDENTITY_APPROVAL_DENY = Operation("identity", "approval_deny", "approval_deny", 30000, write=True,
    route=("identity", "POST", "/capabilities/approvals/{approval_id}/deny"), in_path=("approval_id",))
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
    "engine.refresh_key": ENGINE_REFRESH_KEY,
    "identity.register": IDENTITY_REGISTER,
    "identity.revoke": IDENTITY_REVOKE,
    "identity.get": IDENTITY_GET,
    "identity.list": IDENTITY_LIST,
    "identity.user_create": IDENTITY_USER_CREATE,
    "identity.user_get": IDENTITY_USER_GET,
    "identity.guild_create": IDENTITY_GUILD_CREATE,
    "identity.guild_join": IDENTITY_GUILD_JOIN,
    "identity.guild_get": IDENTITY_GUILD_GET,
    "identity.guild_members": IDENTITY_GUILD_MEMBERS,
    "identity.identify": IDENTITY_IDENTIFY,
    "identity.verify": IDENTITY_VERIFY,
    "identity.reject": IDENTITY_REJECT,
    "identity.assign_squad": IDENTITY_ASSIGN_SQUAD,
    "identity.activate": IDENTITY_ACTIVATE,
    "identity.suspend": IDENTITY_SUSPEND,
    "identity.reactivate": IDENTITY_REACTIVATE,
    "identity.terminate": IDENTITY_TERMINATE,
    "identity.rotate_key": IDENTITY_ROTATE_KEY,
    "identity.sync": IDENTITY_SYNC,
    "identity.pairing_create": IDENTITY_PAIRING_CREATE,
    "identity.pairing_approve": IDENTITY_PAIRING_APPROVE,
    "identity.pairing_summary": IDENTITY_PAIRING_SUMMARY,
    "identity.allowlist_list": IDENTITY_ALLOWLIST_LIST,
    "identity.allowlist_remove": IDENTITY_ALLOWLIST_REMOVE,
    "identity.secret_set": IDENTITY_SECRET_SET,
    "identity.secret_get": IDENTITY_SECRET_GET,
    "identity.secret_list": IDENTITY_SECRET_LIST,
    "identity.secret_remove": IDENTITY_SECRET_REMOVE,
    "identity.policy": IDENTITY_POLICY,
    "identity.policy_of": IDENTITY_POLICY_OF,
    "identity.capability_request": IDENTITY_CAPABILITY_REQUEST,
    "identity.capability_issue": IDENTITY_CAPABILITY_ISSUE,
    "identity.capability_delegate": IDENTITY_CAPABILITY_DELEGATE,
    "identity.capability_verify": IDENTITY_CAPABILITY_VERIFY,
    "identity.capability_revoke": IDENTITY_CAPABILITY_REVOKE,
    "identity.capability_list": IDENTITY_CAPABILITY_LIST,
    "identity.capability_use": IDENTITY_CAPABILITY_USE,
    "identity.approvals": IDENTITY_APPROVALS,
    "identity.approval_get": IDENTITY_APPROVAL_GET,
    "identity.approval_approve": IDENTITY_APPROVAL_APPROVE,
    "identity.approval_deny": IDENTITY_APPROVAL_DENY,
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

    def refresh_key(self, *, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None) -> EngineRefreshKeyAnswer:
        """Reads the model's key again where it is a secret of the identity service and it is time to; the service asks itself."""
        return cast("EngineRefreshKeyAnswer", self._call(ENGINE_REFRESH_KEY, {}, timeout, capability))

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

    async def refresh_key(self, *, timeout: Optional[float] = None,
                          capability: Optional[Capability] = None) -> EngineRefreshKeyAnswer:
        """Reads the model's key again where it is a secret of the identity service and it is time to; the service asks itself."""
        return cast("EngineRefreshKeyAnswer", await self._call(ENGINE_REFRESH_KEY, {}, timeout, capability))

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
        """Gives one agent with its state and history.

        id: The agent, e.g. agent:kasra"""
        return cast("AgentRecord", self._call(IDENTITY_GET, {"id": id}, timeout, capability))

    def list(self, *, limit: Optional[int] = None, offset: Optional[int] = None, timeout: Optional[float] = None,
             capability: Optional[Capability] = None) -> List[AgentRecord]:
        """Lists agents, newest first; fewer than the limit where they would not fit into one answer.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[AgentRecord]", self._call(IDENTITY_LIST, {"limit": limit,
            "offset": offset}, timeout, capability))

    def user_create(self, name: str, *, bio: Optional[str] = None, avatar_url: Optional[str] = None,
                    metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> UserRecord:
        """Makes a user; the id is user: and the name, with _ for spaces.

        name: Letters, digits, spaces and . _ - @; the id is made of it
        metadata: Free entries, kept and given back"""
        return cast("UserRecord", self._call(IDENTITY_USER_CREATE, {"name": name, "bio": bio,
            "avatar_url": avatar_url, "metadata": metadata}, timeout, capability, idempotency_key))

    def user_get(self, id: str, *, timeout: Optional[float] = None,
                 capability: Optional[Capability] = None) -> UserRecord:
        """Gives one user.

        id: The user, e.g. user:ana"""
        return cast("UserRecord", self._call(IDENTITY_USER_GET, {"id": id}, timeout, capability))

    def guild_create(self, name: str, *, owner_id: Optional[str] = None, description: Optional[str] = None,
                     timeout: Optional[float] = None, capability: Optional[Capability] = None,
                     idempotency_key: Optional[str] = None) -> GuildRecord:
        """Makes a guild, led by its owner; the id is guild: and the name in lower case, with _ for spaces.

        name: Letters, digits, spaces and . _ - @; the id is made of it
        owner_id: A user or an agent; the client itself when absent"""
        return cast("GuildRecord", self._call(IDENTITY_GUILD_CREATE, {"name": name, "owner_id": owner_id,
            "description": description}, timeout, capability, idempotency_key))

    def guild_join(self, guild_id: str, *, user_id: Optional[str] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None,
                   idempotency_key: Optional[str] = None) -> IdentityGuildJoinAnswer:
        """Makes somebody a member of a guild.

        user_id: A user or an agent; the client itself when absent"""
        return cast("IdentityGuildJoinAnswer", self._call(IDENTITY_GUILD_JOIN, {"guild_id": guild_id,
            "user_id": user_id}, timeout, capability, idempotency_key))

    def guild_get(self, id: str, *, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None) -> GuildRecord:
        """Gives one guild.

        id: The guild, e.g. guild:builders"""
        return cast("GuildRecord", self._call(IDENTITY_GUILD_GET, {"id": id}, timeout, capability))

    def guild_members(self, id: str, *, limit: Optional[int] = None, offset: Optional[int] = None,
                      timeout: Optional[float] = None,
                      capability: Optional[Capability] = None) -> List[IdentityGuildMembersRow]:
        """Lists who is in a guild, in the order of their ids; at most 400 at once.

        id: The guild
        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[IdentityGuildMembersRow]", self._call(IDENTITY_GUILD_MEMBERS, {"id": id, "limit": limit,
            "offset": offset}, timeout, capability))

    def identify(self, public_key: str, *, agent_id: Optional[str] = None, curve_public_key: Optional[str] = None,
                 name: Optional[str] = None, model: Optional[str] = None,
                 metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
                 capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Says who one is: answers a challenge that verify has to present signed.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        public_key: The agent's Ed25519 key in hex
        curve_public_key: The agent's CURVE key in Z85, for the bus
        name: For people
        model: The model that the agent runs on
        metadata: Free entries, kept and given back"""
        return cast("AgentRecord", self._call(IDENTITY_IDENTIFY, {"agent_id": agent_id, "public_key": public_key,
            "curve_public_key": curve_public_key, "name": name, "model": model,
            "metadata": metadata}, timeout, capability, idempotency_key))

    def verify(self, signature: str, *, id: Optional[str] = None, timeout: Optional[float] = None,
               capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Proves the Ed25519 key: presents the challenge signed by it.

        id: The agent, e.g. agent:kasra; the client itself when absent
        signature: ed25519: and 128 hex digits, over the challenge's UTF-8 bytes"""
        return cast("AgentRecord", self._call(IDENTITY_VERIFY, {"id": id,
            "signature": signature}, timeout, capability, idempotency_key))

    def reject(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
               capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Turns a claim down: the agent is anonymous again.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_REJECT, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    def assign_squad(self, id: str, squad_id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Puts a verified agent into a squad, which is made when there is none; the bus knows it as a member.

        id: The agent, e.g. agent:kasra
        squad_id: The squad, e.g. squad:engineering
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_ASSIGN_SQUAD, {"id": id, "squad_id": squad_id,
            "reason": reason}, timeout, capability, idempotency_key))

    def activate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                 capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives an agent that has a squad its full rights.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_ACTIVATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    def suspend(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Leaves an agent only the right to read.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_SUSPEND, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    def reactivate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives a suspended agent its rights back.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_REACTIVATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    def terminate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Ends an agent for good: its keys are revoked and its sessions cut.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", self._call(IDENTITY_TERMINATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    def rotate_key(self, curve_public_key: str, *, agent_id: Optional[str] = None,
                   overlap_seconds: Optional[int] = None, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives an agent a new CURVE key; the old one works a while longer.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        curve_public_key: The new key in Z85
        overlap_seconds: How long both keys work; 3600 when absent"""
        return cast("AgentRecord", self._call(IDENTITY_ROTATE_KEY, {"agent_id": agent_id,
            "curve_public_key": curve_public_key,
            "overlap_seconds": overlap_seconds}, timeout, capability, idempotency_key))

    def sync(self, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
             idempotency_key: Optional[str] = None) -> IdentitySyncAnswer:
        """Finishes what the broker has not confirmed, and takes over keys that were added offline; the service asks itself."""
        return cast("IdentitySyncAnswer", self._call(IDENTITY_SYNC, {}, timeout, capability, idempotency_key))

    def pairing_create(self, channel: str, sender_id: str, *, agent_id: Optional[str] = None,
                       expires_minutes: Optional[int] = None, timeout: Optional[float] = None,
                       capability: Optional[Capability] = None,
                       idempotency_key: Optional[str] = None) -> IdentityPairingCreateAnswer:
        """Makes a code by which a sender on a foreign channel may be let in; the sender's last one is void.

        channel: Of letters, digits and . _ -, e.g. telegram
        sender_id: Who it is there; without * ? [ ]
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        expires_minutes: 10 when absent"""
        return cast("IdentityPairingCreateAnswer", self._call(IDENTITY_PAIRING_CREATE, {"channel": channel,
            "sender_id": sender_id, "agent_id": agent_id,
            "expires_minutes": expires_minutes}, timeout, capability, idempotency_key))

    def pairing_approve(self, channel: str, code: str, *, approver_id: Optional[str] = None,
                        timeout: Optional[float] = None, capability: Optional[Capability] = None,
                        idempotency_key: Optional[str] = None) -> IdentityPairingApproveAnswer:
        """Lets the sender of a code in: onto the allowlist, with a capability for a day.

        code: As the sender says it; small letters, blanks and dashes do no harm
        approver_id: Who lets the sender in; the client itself when absent"""
        return cast("IdentityPairingApproveAnswer", self._call(IDENTITY_PAIRING_APPROVE, {"channel": channel,
            "code": code, "approver_id": approver_id}, timeout, capability, idempotency_key))

    def pairing_summary(self, *, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> IdentityPairingSummaryAnswer:
        """How pairing stands on all channels, in numbers."""
        return cast("IdentityPairingSummaryAnswer", self._call(IDENTITY_PAIRING_SUMMARY, {}, timeout, capability))

    def allowlist_list(self, channel: str, *, limit: Optional[int] = None, offset: Optional[int] = None,
                       timeout: Optional[float] = None,
                       capability: Optional[Capability] = None) -> List[IdentityAllowlistListRow]:
        """Who was let in on a channel, in the order of senders.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[IdentityAllowlistListRow]", self._call(IDENTITY_ALLOWLIST_LIST, {"channel": channel,
            "limit": limit, "offset": offset}, timeout, capability))

    def allowlist_remove(self, channel: str, sender_id: str, *, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> IdentityAllowlistRemoveAnswer:
        """Takes a sender off a channel's allowlist and revokes what was issued."""
        return cast("IdentityAllowlistRemoveAnswer", self._call(IDENTITY_ALLOWLIST_REMOVE, {"channel": channel,
            "sender_id": sender_id}, timeout, capability, idempotency_key))

    def secret_set(self, name: str, value: str, *, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None,
                   idempotency_key: Optional[str] = None) -> IdentitySecretSetAnswer:
        """Keeps a secret under a name, sealed; one that is there is replaced.

        name: Of a-z, 0-9 and . _ -
        value: What is kept secret"""
        return cast("IdentitySecretSetAnswer", self._call(IDENTITY_SECRET_SET, {"name": name,
            "value": value}, timeout, capability, idempotency_key))

    def secret_get(self, name: str, *, timeout: Optional[float] = None,
                   capability: Optional[Capability] = None) -> IdentitySecretGetAnswer:
        """Shows a secret.

        name: Of a-z, 0-9 and . _ -"""
        return cast("IdentitySecretGetAnswer", self._call(IDENTITY_SECRET_GET, {"name": name}, timeout, capability))

    def secret_list(self, *, timeout: Optional[float] = None,
                    capability: Optional[Capability] = None) -> List[IdentitySecretListRow]:
        """Names of secrets and their times, in the order of names."""
        return cast("List[IdentitySecretListRow]", self._call(IDENTITY_SECRET_LIST, {}, timeout, capability))

    def secret_remove(self, name: str, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
                      idempotency_key: Optional[str] = None) -> IdentitySecretRemoveAnswer:
        """Forgets a secret.

        name: Of a-z, 0-9 and . _ -"""
        return cast("IdentitySecretRemoveAnswer", self._call(IDENTITY_SECRET_REMOVE, {
            "name": name}, timeout, capability, idempotency_key))

    def policy(self, *, timeout: Optional[float] = None,
               capability: Optional[Capability] = None) -> IdentityPolicyAnswer:
        """The rules, features and quotas in force."""
        return cast("IdentityPolicyAnswer", self._call(IDENTITY_POLICY, {}, timeout, capability))

    def policy_of(self, edition: str, *, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None) -> IdentityPolicyAnswer:
        """The rules, features and quotas of an edition."""
        return cast("IdentityPolicyAnswer", self._call(IDENTITY_POLICY_OF, {
            "edition": edition}, timeout, capability))

    def capability_request(self, action: str, resource: str, *, agent_id: Optional[str] = None,
                           justification: Optional[str] = None, constraints: Optional[Mapping[str, Any]] = None,
                           uses: Optional[int] = None, expires_in: Optional[int] = None,
                           timeout: Optional[float] = None, capability: Optional[Capability] = None,
                           idempotency_key: Optional[str] = None) -> Union[CapabilityToken, IdentityCapabilityRequestShort]:
        """Asks for a right: a capability when the policy allows it, or else an approval that an administrator decides on.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        action: e.g. memory:read
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        justification: For whoever decides
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds; 3600 when absent"""
        return cast("Union[CapabilityToken, IdentityCapabilityRequestShort]", self._call(IDENTITY_CAPABILITY_REQUEST, {
            "agent_id": agent_id, "action": action, "resource": resource, "justification": justification,
            "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    def capability_issue(self, subject: str, action: str, resource: str, *,
                         constraints: Optional[Mapping[str, Any]] = None, uses: Optional[int] = None,
                         expires_in: Optional[int] = None, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Gives a right, whatever the policy says.

        subject: Whose right it is
        action: e.g. memory:read
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds; 3600 when absent"""
        return cast("CapabilityToken", self._call(IDENTITY_CAPABILITY_ISSUE, {"subject": subject, "action": action,
            "resource": resource, "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    def capability_delegate(self, subject: str, *, parent: Any = None, action: Optional[str] = None,
                            resource: Optional[str] = None, constraints: Optional[Mapping[str, Any]] = None,
                            uses: Optional[int] = None, expires_in: Optional[int] = None,
                            timeout: Optional[float] = None, capability: Optional[Capability] = None,
                            idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Hands a right on, narrower or as it is: whoever holds the parent may.

        parent: The capability that is handed on: an object, or its text; the one that the request shows when absent
        subject: Whose right it becomes
        action: The parent's when absent, as all that follow
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds"""
        return cast("CapabilityToken", self._call(IDENTITY_CAPABILITY_DELEGATE, {"parent": parent,
            "subject": subject, "action": action, "resource": resource, "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    def capability_verify(self, *, token: Any = None, action: Optional[str] = None, resource: Optional[str] = None,
                          subject: Optional[str] = None, timeout: Optional[float] = None,
                          capability: Optional[Capability] = None) -> IdentityCapabilityVerifyAnswer:
        """Says whether a capability is good, and why not: its signature, its ancestors, its state, and what is asked for.

        token: An object, or its text; the one that the request shows when absent
        action: e.g. memory:read"""
        return cast("IdentityCapabilityVerifyAnswer", self._call(IDENTITY_CAPABILITY_VERIFY, {"token": token,
            "action": action, "resource": resource, "subject": subject}, timeout, capability))

    def capability_revoke(self, id: str, *, reason: Optional[str] = None, token: Any = None,
                          timeout: Optional[float] = None, capability: Optional[Capability] = None,
                          idempotency_key: Optional[str] = None) -> IdentityCapabilityRevokeAnswer:
        """Takes a right back, and all that were delegated from it; done when the broker has told the services.

        id: cap_ and 12 hex digits
        reason: Kept in the audit log
        token: The capability itself, if it was made elsewhere and never used here"""
        return cast("IdentityCapabilityRevokeAnswer", self._call(IDENTITY_CAPABILITY_REVOKE, {"id": id,
            "reason": reason, "token": token}, timeout, capability, idempotency_key))

    def capability_list(self, *, subject: Optional[str] = None, limit: Optional[int] = None,
                        offset: Optional[int] = None, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> List[CapabilityRecord]:
        """Lists capabilities without their signatures: those of a subject newest first, or all, subject by subject.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[CapabilityRecord]", self._call(IDENTITY_CAPABILITY_LIST, {"subject": subject,
            "limit": limit, "offset": offset}, timeout, capability))

    def approvals(self, *, status: Optional[Literal["pending", "approved", "denied", "expired"]] = None,
                  limit: Optional[int] = None, timeout: Optional[float] = None,
                  capability: Optional[Capability] = None) -> List[ApprovalRecord]:
        """Rights that wait for an administrator, or waited, newest first.

        limit: How many at most; 100 when absent"""
        return cast("List[ApprovalRecord]", self._call(IDENTITY_APPROVALS, {"status": status,
            "limit": limit}, timeout, capability))

    def approval_get(self, approval_id: str, *, agent_id: Optional[str] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None) -> IdentityApprovalGetAnswer:
        """What came of a right that was asked for: the capability once it was approved.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("IdentityApprovalGetAnswer", self._call(IDENTITY_APPROVAL_GET, {"approval_id": approval_id,
            "agent_id": agent_id}, timeout, capability))

    def approval_approve(self, approval_id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Gives the right that was asked for."""
        return cast("CapabilityToken", self._call(IDENTITY_APPROVAL_APPROVE, {"approval_id": approval_id,
            "reason": reason}, timeout, capability, idempotency_key))

    def approval_deny(self, approval_id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                      capability: Optional[Capability] = None,
                      idempotency_key: Optional[str] = None) -> ApprovalRecord:
        """Refuses the right that was asked for."""
        return cast("ApprovalRecord", self._call(IDENTITY_APPROVAL_DENY, {"approval_id": approval_id,
            "reason": reason}, timeout, capability, idempotency_key))


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
        """Gives one agent with its state and history.

        id: The agent, e.g. agent:kasra"""
        return cast("AgentRecord", await self._call(IDENTITY_GET, {"id": id}, timeout, capability))

    async def list(self, *, limit: Optional[int] = None, offset: Optional[int] = None,
                   timeout: Optional[float] = None, capability: Optional[Capability] = None) -> List[AgentRecord]:
        """Lists agents, newest first; fewer than the limit where they would not fit into one answer.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[AgentRecord]", await self._call(IDENTITY_LIST, {"limit": limit,
            "offset": offset}, timeout, capability))

    async def user_create(self, name: str, *, bio: Optional[str] = None, avatar_url: Optional[str] = None,
                          metadata: Optional[Mapping[str, Any]] = None, timeout: Optional[float] = None,
                          capability: Optional[Capability] = None,
                          idempotency_key: Optional[str] = None) -> UserRecord:
        """Makes a user; the id is user: and the name, with _ for spaces.

        name: Letters, digits, spaces and . _ - @; the id is made of it
        metadata: Free entries, kept and given back"""
        return cast("UserRecord", await self._call(IDENTITY_USER_CREATE, {"name": name, "bio": bio,
            "avatar_url": avatar_url, "metadata": metadata}, timeout, capability, idempotency_key))

    async def user_get(self, id: str, *, timeout: Optional[float] = None,
                       capability: Optional[Capability] = None) -> UserRecord:
        """Gives one user.

        id: The user, e.g. user:ana"""
        return cast("UserRecord", await self._call(IDENTITY_USER_GET, {"id": id}, timeout, capability))

    async def guild_create(self, name: str, *, owner_id: Optional[str] = None, description: Optional[str] = None,
                           timeout: Optional[float] = None, capability: Optional[Capability] = None,
                           idempotency_key: Optional[str] = None) -> GuildRecord:
        """Makes a guild, led by its owner; the id is guild: and the name in lower case, with _ for spaces.

        name: Letters, digits, spaces and . _ - @; the id is made of it
        owner_id: A user or an agent; the client itself when absent"""
        return cast("GuildRecord", await self._call(IDENTITY_GUILD_CREATE, {"name": name, "owner_id": owner_id,
            "description": description}, timeout, capability, idempotency_key))

    async def guild_join(self, guild_id: str, *, user_id: Optional[str] = None, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> IdentityGuildJoinAnswer:
        """Makes somebody a member of a guild.

        user_id: A user or an agent; the client itself when absent"""
        return cast("IdentityGuildJoinAnswer", await self._call(IDENTITY_GUILD_JOIN, {"guild_id": guild_id,
            "user_id": user_id}, timeout, capability, idempotency_key))

    async def guild_get(self, id: str, *, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> GuildRecord:
        """Gives one guild.

        id: The guild, e.g. guild:builders"""
        return cast("GuildRecord", await self._call(IDENTITY_GUILD_GET, {"id": id}, timeout, capability))

    async def guild_members(self, id: str, *, limit: Optional[int] = None, offset: Optional[int] = None,
                            timeout: Optional[float] = None,
                            capability: Optional[Capability] = None) -> List[IdentityGuildMembersRow]:
        """Lists who is in a guild, in the order of their ids; at most 400 at once.

        id: The guild
        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[IdentityGuildMembersRow]", await self._call(IDENTITY_GUILD_MEMBERS, {"id": id,
            "limit": limit, "offset": offset}, timeout, capability))

    async def identify(self, public_key: str, *, agent_id: Optional[str] = None,
                       curve_public_key: Optional[str] = None, name: Optional[str] = None,
                       model: Optional[str] = None, metadata: Optional[Mapping[str, Any]] = None,
                       timeout: Optional[float] = None, capability: Optional[Capability] = None,
                       idempotency_key: Optional[str] = None) -> AgentRecord:
        """Says who one is: answers a challenge that verify has to present signed.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        public_key: The agent's Ed25519 key in hex
        curve_public_key: The agent's CURVE key in Z85, for the bus
        name: For people
        model: The model that the agent runs on
        metadata: Free entries, kept and given back"""
        return cast("AgentRecord", await self._call(IDENTITY_IDENTIFY, {"agent_id": agent_id,
            "public_key": public_key, "curve_public_key": curve_public_key, "name": name, "model": model,
            "metadata": metadata}, timeout, capability, idempotency_key))

    async def verify(self, signature: str, *, id: Optional[str] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Proves the Ed25519 key: presents the challenge signed by it.

        id: The agent, e.g. agent:kasra; the client itself when absent
        signature: ed25519: and 128 hex digits, over the challenge's UTF-8 bytes"""
        return cast("AgentRecord", await self._call(IDENTITY_VERIFY, {"id": id,
            "signature": signature}, timeout, capability, idempotency_key))

    async def reject(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None, idempotency_key: Optional[str] = None) -> AgentRecord:
        """Turns a claim down: the agent is anonymous again.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_REJECT, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def assign_squad(self, id: str, squad_id: str, *, reason: Optional[str] = None,
                           timeout: Optional[float] = None, capability: Optional[Capability] = None,
                           idempotency_key: Optional[str] = None) -> AgentRecord:
        """Puts a verified agent into a squad, which is made when there is none; the bus knows it as a member.

        id: The agent, e.g. agent:kasra
        squad_id: The squad, e.g. squad:engineering
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_ASSIGN_SQUAD, {"id": id, "squad_id": squad_id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def activate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                       capability: Optional[Capability] = None,
                       idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives an agent that has a squad its full rights.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_ACTIVATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def suspend(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                      capability: Optional[Capability] = None,
                      idempotency_key: Optional[str] = None) -> AgentRecord:
        """Leaves an agent only the right to read.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_SUSPEND, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def reactivate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives a suspended agent its rights back.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_REACTIVATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def terminate(self, id: str, *, reason: Optional[str] = None, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None,
                        idempotency_key: Optional[str] = None) -> AgentRecord:
        """Ends an agent for good: its keys are revoked and its sessions cut.

        id: The agent, e.g. agent:kasra
        reason: Kept in the history and the audit log"""
        return cast("AgentRecord", await self._call(IDENTITY_TERMINATE, {"id": id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def rotate_key(self, curve_public_key: str, *, agent_id: Optional[str] = None,
                         overlap_seconds: Optional[int] = None, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> AgentRecord:
        """Gives an agent a new CURVE key; the old one works a while longer.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        curve_public_key: The new key in Z85
        overlap_seconds: How long both keys work; 3600 when absent"""
        return cast("AgentRecord", await self._call(IDENTITY_ROTATE_KEY, {"agent_id": agent_id,
            "curve_public_key": curve_public_key,
            "overlap_seconds": overlap_seconds}, timeout, capability, idempotency_key))

    async def sync(self, *, timeout: Optional[float] = None, capability: Optional[Capability] = None,
                   idempotency_key: Optional[str] = None) -> IdentitySyncAnswer:
        """Finishes what the broker has not confirmed, and takes over keys that were added offline; the service asks itself."""
        return cast("IdentitySyncAnswer", await self._call(IDENTITY_SYNC, {}, timeout, capability, idempotency_key))

    async def pairing_create(self, channel: str, sender_id: str, *, agent_id: Optional[str] = None,
                             expires_minutes: Optional[int] = None, timeout: Optional[float] = None,
                             capability: Optional[Capability] = None,
                             idempotency_key: Optional[str] = None) -> IdentityPairingCreateAnswer:
        """Makes a code by which a sender on a foreign channel may be let in; the sender's last one is void.

        channel: Of letters, digits and . _ -, e.g. telegram
        sender_id: Who it is there; without * ? [ ]
        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        expires_minutes: 10 when absent"""
        return cast("IdentityPairingCreateAnswer", await self._call(IDENTITY_PAIRING_CREATE, {"channel": channel,
            "sender_id": sender_id, "agent_id": agent_id,
            "expires_minutes": expires_minutes}, timeout, capability, idempotency_key))

    async def pairing_approve(self, channel: str, code: str, *, approver_id: Optional[str] = None,
                              timeout: Optional[float] = None, capability: Optional[Capability] = None,
                              idempotency_key: Optional[str] = None) -> IdentityPairingApproveAnswer:
        """Lets the sender of a code in: onto the allowlist, with a capability for a day.

        code: As the sender says it; small letters, blanks and dashes do no harm
        approver_id: Who lets the sender in; the client itself when absent"""
        return cast("IdentityPairingApproveAnswer", await self._call(IDENTITY_PAIRING_APPROVE, {"channel": channel,
            "code": code, "approver_id": approver_id}, timeout, capability, idempotency_key))

    async def pairing_summary(self, *, timeout: Optional[float] = None,
                              capability: Optional[Capability] = None) -> IdentityPairingSummaryAnswer:
        """How pairing stands on all channels, in numbers."""
        return cast("IdentityPairingSummaryAnswer", await self._call(IDENTITY_PAIRING_SUMMARY, {}, timeout, capability))

    async def allowlist_list(self, channel: str, *, limit: Optional[int] = None, offset: Optional[int] = None,
                             timeout: Optional[float] = None,
                             capability: Optional[Capability] = None) -> List[IdentityAllowlistListRow]:
        """Who was let in on a channel, in the order of senders.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[IdentityAllowlistListRow]", await self._call(IDENTITY_ALLOWLIST_LIST, {"channel": channel,
            "limit": limit, "offset": offset}, timeout, capability))

    async def allowlist_remove(self, channel: str, sender_id: str, *, timeout: Optional[float] = None,
                               capability: Optional[Capability] = None,
                               idempotency_key: Optional[str] = None) -> IdentityAllowlistRemoveAnswer:
        """Takes a sender off a channel's allowlist and revokes what was issued."""
        return cast("IdentityAllowlistRemoveAnswer", await self._call(IDENTITY_ALLOWLIST_REMOVE, {
            "channel": channel, "sender_id": sender_id}, timeout, capability, idempotency_key))

    async def secret_set(self, name: str, value: str, *, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None,
                         idempotency_key: Optional[str] = None) -> IdentitySecretSetAnswer:
        """Keeps a secret under a name, sealed; one that is there is replaced.

        name: Of a-z, 0-9 and . _ -
        value: What is kept secret"""
        return cast("IdentitySecretSetAnswer", await self._call(IDENTITY_SECRET_SET, {"name": name,
            "value": value}, timeout, capability, idempotency_key))

    async def secret_get(self, name: str, *, timeout: Optional[float] = None,
                         capability: Optional[Capability] = None) -> IdentitySecretGetAnswer:
        """Shows a secret.

        name: Of a-z, 0-9 and . _ -"""
        return cast("IdentitySecretGetAnswer", await self._call(IDENTITY_SECRET_GET, {
            "name": name}, timeout, capability))

    async def secret_list(self, *, timeout: Optional[float] = None,
                          capability: Optional[Capability] = None) -> List[IdentitySecretListRow]:
        """Names of secrets and their times, in the order of names."""
        return cast("List[IdentitySecretListRow]", await self._call(IDENTITY_SECRET_LIST, {}, timeout, capability))

    async def secret_remove(self, name: str, *, timeout: Optional[float] = None,
                            capability: Optional[Capability] = None,
                            idempotency_key: Optional[str] = None) -> IdentitySecretRemoveAnswer:
        """Forgets a secret.

        name: Of a-z, 0-9 and . _ -"""
        return cast("IdentitySecretRemoveAnswer", await self._call(IDENTITY_SECRET_REMOVE, {
            "name": name}, timeout, capability, idempotency_key))

    async def policy(self, *, timeout: Optional[float] = None,
                     capability: Optional[Capability] = None) -> IdentityPolicyAnswer:
        """The rules, features and quotas in force."""
        return cast("IdentityPolicyAnswer", await self._call(IDENTITY_POLICY, {}, timeout, capability))

    async def policy_of(self, edition: str, *, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> IdentityPolicyAnswer:
        """The rules, features and quotas of an edition."""
        return cast("IdentityPolicyAnswer", await self._call(IDENTITY_POLICY_OF, {
            "edition": edition}, timeout, capability))

    async def capability_request(self, action: str, resource: str, *, agent_id: Optional[str] = None,
                                 justification: Optional[str] = None,
                                 constraints: Optional[Mapping[str, Any]] = None, uses: Optional[int] = None,
                                 expires_in: Optional[int] = None, timeout: Optional[float] = None,
                                 capability: Optional[Capability] = None,
                                 idempotency_key: Optional[str] = None) -> Union[CapabilityToken, IdentityCapabilityRequestShort]:
        """Asks for a right: a capability when the policy allows it, or else an approval that an administrator decides on.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent
        action: e.g. memory:read
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        justification: For whoever decides
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds; 3600 when absent"""
        return cast("Union[CapabilityToken, IdentityCapabilityRequestShort]", await self._call(IDENTITY_CAPABILITY_REQUEST, {
            "agent_id": agent_id, "action": action, "resource": resource, "justification": justification,
            "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    async def capability_issue(self, subject: str, action: str, resource: str, *,
                               constraints: Optional[Mapping[str, Any]] = None, uses: Optional[int] = None,
                               expires_in: Optional[int] = None, timeout: Optional[float] = None,
                               capability: Optional[Capability] = None,
                               idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Gives a right, whatever the policy says.

        subject: Whose right it is
        action: e.g. memory:read
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds; 3600 when absent"""
        return cast("CapabilityToken", await self._call(IDENTITY_CAPABILITY_ISSUE, {"subject": subject,
            "action": action, "resource": resource, "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    async def capability_delegate(self, subject: str, *, parent: Any = None, action: Optional[str] = None,
                                  resource: Optional[str] = None, constraints: Optional[Mapping[str, Any]] = None,
                                  uses: Optional[int] = None, expires_in: Optional[int] = None,
                                  timeout: Optional[float] = None, capability: Optional[Capability] = None,
                                  idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Hands a right on, narrower or as it is: whoever holds the parent may.

        parent: The capability that is handed on: an object, or its text; the one that the request shows when absent
        subject: Whose right it becomes
        action: The parent's when absent, as all that follow
        resource: A glob over the whole resource, e.g. memory:agent:kasra/*
        constraints: max_results, rate_limit, max_amount, requires_witness, agent_id, content_filter,
            max_response_length, or others that are carried along
        uses: How often it may be used; any number of times when absent
        expires_in: Seconds"""
        return cast("CapabilityToken", await self._call(IDENTITY_CAPABILITY_DELEGATE, {"parent": parent,
            "subject": subject, "action": action, "resource": resource, "constraints": constraints, "uses": uses,
            "expires_in": expires_in}, timeout, capability, idempotency_key))

    async def capability_verify(self, *, token: Any = None, action: Optional[str] = None,
                                resource: Optional[str] = None, subject: Optional[str] = None,
                                timeout: Optional[float] = None,
                                capability: Optional[Capability] = None) -> IdentityCapabilityVerifyAnswer:
        """Says whether a capability is good, and why not: its signature, its ancestors, its state, and what is asked for.

        token: An object, or its text; the one that the request shows when absent
        action: e.g. memory:read"""
        return cast("IdentityCapabilityVerifyAnswer", await self._call(IDENTITY_CAPABILITY_VERIFY, {"token": token,
            "action": action, "resource": resource, "subject": subject}, timeout, capability))

    async def capability_revoke(self, id: str, *, reason: Optional[str] = None, token: Any = None,
                                timeout: Optional[float] = None, capability: Optional[Capability] = None,
                                idempotency_key: Optional[str] = None) -> IdentityCapabilityRevokeAnswer:
        """Takes a right back, and all that were delegated from it; done when the broker has told the services.

        id: cap_ and 12 hex digits
        reason: Kept in the audit log
        token: The capability itself, if it was made elsewhere and never used here"""
        return cast("IdentityCapabilityRevokeAnswer", await self._call(IDENTITY_CAPABILITY_REVOKE, {"id": id,
            "reason": reason, "token": token}, timeout, capability, idempotency_key))

    async def capability_list(self, *, subject: Optional[str] = None, limit: Optional[int] = None,
                              offset: Optional[int] = None, timeout: Optional[float] = None,
                              capability: Optional[Capability] = None) -> List[CapabilityRecord]:
        """Lists capabilities without their signatures: those of a subject newest first, or all, subject by subject.

        limit: How many at most; 100 when absent
        offset: How many to pass over; 0 when absent"""
        return cast("List[CapabilityRecord]", await self._call(IDENTITY_CAPABILITY_LIST, {"subject": subject,
            "limit": limit, "offset": offset}, timeout, capability))

    async def approvals(self, *, status: Optional[Literal["pending", "approved", "denied", "expired"]] = None,
                        limit: Optional[int] = None, timeout: Optional[float] = None,
                        capability: Optional[Capability] = None) -> List[ApprovalRecord]:
        """Rights that wait for an administrator, or waited, newest first.

        limit: How many at most; 100 when absent"""
        return cast("List[ApprovalRecord]", await self._call(IDENTITY_APPROVALS, {"status": status,
            "limit": limit}, timeout, capability))

    async def approval_get(self, approval_id: str, *, agent_id: Optional[str] = None,
                           timeout: Optional[float] = None,
                           capability: Optional[Capability] = None) -> IdentityApprovalGetAnswer:
        """What came of a right that was asked for: the capability once it was approved.

        agent_id: The agent that the call acts for, e.g. agent:kasra; the client itself when absent"""
        return cast("IdentityApprovalGetAnswer", await self._call(IDENTITY_APPROVAL_GET, {
            "approval_id": approval_id, "agent_id": agent_id}, timeout, capability))

    async def approval_approve(self, approval_id: str, *, reason: Optional[str] = None,
                               timeout: Optional[float] = None, capability: Optional[Capability] = None,
                               idempotency_key: Optional[str] = None) -> CapabilityToken:
        """Gives the right that was asked for."""
        return cast("CapabilityToken", await self._call(IDENTITY_APPROVAL_APPROVE, {"approval_id": approval_id,
            "reason": reason}, timeout, capability, idempotency_key))

    async def approval_deny(self, approval_id: str, *, reason: Optional[str] = None,
                            timeout: Optional[float] = None, capability: Optional[Capability] = None,
                            idempotency_key: Optional[str] = None) -> ApprovalRecord:
        """Refuses the right that was asked for."""
        return cast("ApprovalRecord", await self._call(IDENTITY_APPROVAL_DENY, {"approval_id": approval_id,
            "reason": reason}, timeout, capability, idempotency_key))


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
