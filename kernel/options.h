/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/options.h - every setting of SOS: one row each.
 *
 * The key stands in sos.json (dots nest objects), SOS_ + the key in capitals with dots as _ is its
 * environment variable, --set key=value its command line form. */
#ifndef SOS_KERNEL_OPTIONS_H
#define SOS_KERNEL_OPTIONS_H

/*   T(type): S string, U unsigned, B boolean
 *        id                   key                        T  default      min  max    help */
#define OPTION_MAP(X)                                                                              \
    X(EDITION, "edition", S, "business", 0, 32, "policy set of this home")                         \
    X(ENV, "env", S, "development", 0, 32, "development or production")                            \
    X(IPC_MODE, "ipc_mode", S, "tcp", 0, 16, "how services reach the broker: tcp")                 \
    X(LOG_LEVEL, "log_level", S, "info", 0, 16, "debug info warn error fatal")                     \
    X(ENGINE_URL, "engine_url", S, "http://localhost:6060", 0, 512, "engine, for clients")         \
    X(MEMORY_URL, "memory_url", S, "http://localhost:7070", 0, 512, "memory, for clients")         \
    X(ECONOMY_URL, "economy_url", S, "http://localhost:6062", 0, 512, "economy, for clients")      \
    X(TOOLS_URL, "tools_url", S, "http://localhost:6063", 0, 512, "tools, for clients")            \
    X(IDENTITY_URL, "identity_url", S, "http://localhost:6064", 0, 512, "identity, for clients")   \
    X(VOICE_URL, "voice_url", S, "http://localhost:6065", 0, 512, "voice, for clients")            \
    X(SKILLS_PATH, "skills_path", S, "", 0, 4096, "folder of skills")                              \
    X(REQUIRE_CAPABILITIES, "require_capabilities", B, "false", 0, 0,                              \
      "refuse calls without a capability")                                                         \
    X(RIVER_KEY_HEX, "river_public_key_hex", S, "", 0, 64,                                         \
      "a second key that capabilities verify with")                                                \
    X(CAPABILITY_KEY_HEX, "capability_public_key_hex", S, "", 0, 64, "the same, older name")       \
    X(PORTS, "ports", S, "configured", 0, 16, "configured, or auto: every port a free one")        \
    X(BROKER_BIND, "broker.bind", S, "127.0.0.1", 0, 255, "address the broker binds")              \
    X(BROKER_ALLOW_REMOTE, "broker.allow_remote", B, "false", 0, 0,                                \
      "agents on other hosts are meant to reach the broker")                                       \
    X(BROKER_PORT, "broker.port", U, "6066", 0, 65535, "port of the broker; 0 = any free one")     \
    X(BROKER_PEERS_MAX, "broker.peers_max", U, "16384", 8, 1000000, "peers at once")               \
    X(BROKER_PENDING_MAX, "broker.pending_max", U, "65536", 16, 10000000,                          \
      "requests in flight, all peers")                                                             \
    X(BROKER_PENDING_PEER_MAX, "broker.pending_peer_max", U, "4096", 1, 1000000,                   \
      "requests in flight of one peer")                                                            \
    X(BROKER_HELD_MAX, "broker.held_max", U, "4096", 0, 1000000,                                   \
      "requests held for one service that is away or busy")                                        \
    X(BROKER_HELD_BYTES_MAX, "broker.held_bytes_max", U, "67108864", 0, 1073741824, "their bytes") \
    X(BROKER_HOLD_MS, "broker.hold_ms", U, "5000", 0, 600000,                                      \
      "how long a request waits for a service that is away")                                       \
    X(BUS_ANONYMOUS, "bus.anonymous", B, "true", 0, 0,                                             \
      "unknown keys may identify themselves, on loopback; not in production unless set")           \
    X(MAIL_INBOX_MAX, "mail.inbox_max", U, "100000", 1, 100000000, "messages in one inbox")        \
    X(MAIL_INBOX_BYTES_MAX, "mail.inbox_bytes_max", U, "268435456", 65536, 1099511627776,          \
      "their bytes")                                                                               \
    X(MAIL_SENDER_MAX, "mail.sender_max", U, "200000", 1, 100000000,                               \
      "messages of one sender in all inboxes")                                                     \
    X(MAIL_SENDER_BYTES_MAX, "mail.sender_bytes_max", U, "536870912", 65536, 1099511627776,        \
      "their bytes")                                                                               \
    X(MAIL_RATE, "mail.rate", U, "100000", 1, 100000000, "messages a second of one sender")        \
    X(MAIL_DEDUP_MS, "mail.dedup_ms", U, "120000", 1000, 86400000,                                 \
      "a message id is known again for so long")                                                   \
    X(MAIL_DEDUP_MAX, "mail.dedup_max", U, "262144", 1024, 16777216, "ids that are known again")   \
    X(CHANNEL_HISTORY_MAX, "channel.history_max", U, "1000", 0, 100000,                            \
      "events that a channel keeps")                                                               \
    X(CHANNEL_HISTORY_BYTES_MAX, "channel.history_bytes_max", U, "1048576", 0, 268435456,          \
      "their bytes")                                                                               \
    X(CHANNEL_BYTES_MAX, "channel.bytes_max", U, "67108864", 1048576, 17179869184,                 \
      "what all channels keep")                                                                    \
    X(CHANNELS_MAX, "channel.max", U, "10000", 1, 10000000, "channels at once")                    \
    X(DISK_RESERVE, "disk_reserve", U, "67108864", 0, 1099511627776,                               \
      "bytes that stay free on the disk: writes are refused before it is full")                    \
    X(GATEWAY_BIND, "gateway.bind", S, "127.0.0.1", 0, 255, "address the HTTP doors bind")         \
    X(GATEWAY_ALLOW_REMOTE, "gateway.allow_remote", B, "false", 0, 0,                              \
      "bind other than loopback without TLS")                                                      \
    X(GATEWAY_TLS_PROXY, "gateway.tls_proxy", B, "false", 0, 0,                                    \
      "a proxy in front of the HTTP doors speaks TLS")                                             \
    X(GATEWAY_PORT, "gateway.port", U, "6080", 0, 65535, "unified port; 0 = any free one")         \
    X(GATEWAY_ENGINE_PORT, "gateway.engine_port", U, "6060", 0, 65535, "engine door")              \
    X(GATEWAY_MEMORY_PORT, "gateway.memory_port", U, "7070", 0, 65535, "memory door")              \
    X(GATEWAY_MEMORY_PORT2, "gateway.memory_port2", U, "6061", 0, 65535, "memory door, second")    \
    X(GATEWAY_ECONOMY_PORT, "gateway.economy_port", U, "6062", 0, 65535, "economy door")           \
    X(GATEWAY_TOOLS_PORT, "gateway.tools_port", U, "6063", 0, 65535, "tools door")                 \
    X(GATEWAY_TOOLS_PORT2, "gateway.tools_port2", U, "8003", 0, 65535, "tools door, second")       \
    X(GATEWAY_IDENTITY_PORT, "gateway.identity_port", U, "6064", 0, 65535, "identity door")        \
    X(GATEWAY_VOICE_PORT, "gateway.voice_port", U, "6065", 0, 65535, "voice door")                 \
    X(GATEWAY_CONNECTIONS_MAX, "gateway.connections_max", U, "8192", 8, 1000000,                   \
      "HTTP connections at once")                                                                  \
    X(GATEWAY_CONNECTIONS_PEER_MAX, "gateway.connections_peer_max", U, "4096", 1, 1000000,         \
      "of one address")                                                                            \
    X(GATEWAY_STREAMS_MAX, "gateway.streams_max", U, "2048", 0, 1000000,                           \
      "WebSockets and endless streams at once")                                                    \
    X(GATEWAY_BODY_BYTES_MAX, "gateway.body_bytes_max", U, "67108864", 1048576, 1073741824,        \
      "request bodies held at once")                                                               \
    X(GATEWAY_HEADER_MS, "gateway.header_ms", U, "10000", 100, 600000,                             \
      "a request's header must be there in")                                                       \
    X(GATEWAY_BODY_MS, "gateway.body_ms", U, "30000", 100, 600000,                                 \
      "a request's body must be there in")                                                         \
    X(GATEWAY_IDLE_MS, "gateway.idle_ms", U, "60000", 100, 3600000,                                \
      "an idle connection is closed after")                                                        \
    X(GATEWAY_DRAIN_MS, "gateway.drain_ms", U, "5000", 0, 600000,                                  \
      "calls may finish this long after SIGTERM")                                                  \
    X(CORS_ORIGINS, "cors_origins", S, "", 0, 4096,                                                \
      "further origins that browsers may call from, by comma")                                     \
    X(HTTP_RATE_LIMIT, "http_rate_limit", U, "0", 0, 10000000,                                     \
      "requests a minute of one address; 0 = no limit on loopback")                                \
    X(SECRETS_PASSPHRASE, "secrets.passphrase", S, "", 0, 1024,                                    \
      "seals secrets in place of a key file; only from the environment")                           \
    X(OPENAI_BASE_URL, "openai.base_url", S, "", 0, 512,                                           \
      "an OpenAI-compatible server, with its /v1")                                                 \
    X(OPENAI_API_KEY, "openai.api_key", S, "", 0, 4096, "its key, or secret:NAME")                 \
    X(OPENAI_API_KEY_FILE, "openai.api_key_file", S, "", 0, 4096, "file that holds its key")       \
    X(OPENAI_MODEL, "openai.model", S, "", 0, 255, "its model's id")                               \
    X(OPENAI_TIMEOUT_MS, "openai.timeout_ms", U, "60000", 100, 3600000,                            \
      "its whole answer must be there in")

#endif
