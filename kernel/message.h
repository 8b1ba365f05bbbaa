/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/message.h - the SOS/1 record: what every peer and the broker say.
 *
 *     frame  = record record*                      (one ZMQ frame)
 *     record = u32 length | u16 header length | header | payload
 *
 * Both lengths are big-endian; length counts everything after itself. The
 * header is a msgpack array in the order of `struct message`, the payload one
 * msgpack value or nothing. docs/PROTOCOL.md is the public grammar and
 * tests/vectors/ its examples.
 *
 * `struct message` is a view: every text and byte field borrows from the frame
 * it was decoded from. Decoding copies nothing and allocates nothing. */
#ifndef SOS_KERNEL_MESSAGE_H
#define SOS_KERNEL_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/id.h"
#include "kernel/status.h"

enum {
    MESSAGE_VERSION = 1,
    RECORD_SIZE_MAX = 256 * 1024, /* length field and all */
    FRAME_SIZE_MAX = 320 * 1024,
    CHUNK_SIZE_MAX = 64 * 1024, /* payload of one chunk */
    MESSAGE_NAME_MAX = 255,     /* source, target, principal: bytes */
    MESSAGE_TYPE_MAX = 127,
    MESSAGE_CAPABILITY_MAX = 8 * 1024,
    RECORD_OVERHEAD = 6 /* the two length fields */
};

/*    id           number  word */
#define KIND_MAP(X)                                                                                \
    X(HELLO, 1, "hello")                                                                           \
    X(READY, 2, "ready")                                                                           \
    X(HEARTBEAT, 3, "heartbeat")                                                                   \
    X(BYE, 4, "bye")                                                                               \
    X(REQUEST, 5, "request")                                                                       \
    X(REPLY, 6, "reply")                                                                           \
    X(CHUNK, 7, "chunk")                                                                           \
    X(CANCEL, 8, "cancel")                                                                         \
    X(SEND, 9, "send")                                                                             \
    X(DELIVER, 10, "deliver")                                                                      \
    X(ACK, 11, "ack")                                                                              \
    X(NACK, 12, "nack")                                                                            \
    X(PUBLISH, 13, "publish")                                                                      \
    X(EVENT, 14, "event")                                                                          \
    X(SUBSCRIBE, 15, "subscribe")                                                                  \
    X(UNSUBSCRIBE, 16, "unsubscribe")                                                              \
    X(CONTROL, 17, "control")                                                                      \
    X(ERROR, 18, "error")

enum kind {
#define KIND_ENUM(id, number, word) KIND_##id = (number),
    KIND_MAP(KIND_ENUM)
#undef KIND_ENUM
};

/* The kind's word; "unknown" for a number without a row. Static. */
const char *kind_word(enum kind kind);

enum message_flag {
    MESSAGE_FINAL = 1u << 0,      /* chunk: the last one of its direction */
    MESSAGE_STREAM = 1u << 1,     /* request: the caller takes chunks before the reply */
    MESSAGE_IDEMPOTENT = 1u << 2, /* request: may be sent again after a lost instance */
    MESSAGE_WRITE = 1u << 3,      /* request: the operation changes state (for the tap's reader) */
    MESSAGE_CONFIRM = 1u << 4     /* publish, ack, nack: the sender wants an ack for it */
};

struct message {
    uint32_t version;        /* 0  MESSAGE_VERSION */
    enum kind kind;          /* 1 */
    uint32_t flags;          /* 2  enum message_flag, unknown bits are kept */
    struct uuid id;          /* 3  this record's own id; bin 16 */
    struct uuid correlation; /* 4  the request this answers; bin 16, or nil = the nil UUID */
    struct text source;      /* 5  identity id, checked by the broker against the key */
    struct text target;      /* 6  identity id, "" when the kind has none */
    struct text type;        /* 7  message type, "<service>.<operation>" or a control word */
    uint64_t timestamp_us;   /* 8  the sender's wall clock; informs, never decides */
    uint32_t ttl_ms;         /* 9  budget that remains, from arrival; 0 = the receiver's default */
    struct bytes trace;      /* 10 bin 24: trace id 16, span id 8; or nil = empty */
    struct text capability;  /* 11 capability id or token (its JSON); or nil = empty */
    uint32_t status;         /* 12 reply, error: enum status as a number, 0 = ok */
    uint64_t seq; /* 13 chunk: 0, 1, 2 …; control credit: how many more; docs for others */
    struct text principal; /* 14 on whose behalf; only from peers that may act for others */
    struct bytes metadata; /* 15 a msgpack map, or nil = empty */
    uint32_t attempt;      /* 16 deliver: which delivery of the message this is, from 1 */

    struct bytes payload; /* one msgpack value, or empty */
    struct bytes raw;     /* the whole record as it stood; set by decoding only */
};

/* Takes the first record off `frame`. Any bytes are safe. On OK *message holds
 * views into frame and *used is the record's size.
 * TOO_LARGE or INVALID with *used == 0: a broken length, the rest of the frame
 * cannot be read. INVALID with *used > 0: this record is bad (header not of the
 * form above, over-long name, source not an identity id …), the next one starts at *used;
 * *message then holds the record's id where it could be read, raw, and nothing else.
 * The payload is not looked into: its reader validates it. */
enum status message_decode(struct message *message, struct bytes frame, size_t *used,
                           struct error *error);

/* Appends one record of MESSAGE_VERSION (message->version and raw are not looked
 * at). TOO_LARGE when it would pass RECORD_SIZE_MAX, its header 65535 bytes, or a
 * name, the type or the capability its limit; NOMEM; nothing is appended then. Trailing header
 * fields that are empty are left out. The caller answers for the rest: identities, a trace of 24
 * bytes or none, metadata and payload well-formed. */
enum status message_encode(struct buffer *out, const struct message *message, struct error *error);

/* The payload of a reply or error that carries status != OK:
 * {message, detail, context?}. context is {"field": …} when the error names one. */
void error_pack(struct buffer *out, enum status status, const struct error *error);

/* Reads it back; tolerates anything (missing parts become empty). */
void error_unpack(struct bytes payload, struct error *error);

#endif
