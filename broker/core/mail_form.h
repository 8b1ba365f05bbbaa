/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_form.h - messages as they are delivered, and as the contract's maps say them. */
#ifndef SOS_BROKER_CORE_MAIL_FORM_H
#define SOS_BROKER_CORE_MAIL_FORM_H

#include "broker/core/mail_op.h"
#include "kernel/message.h"

enum {
    /* What a kept record may have, so that it fits a record again when it is delivered, listed
     * in words, or shown as a dead letter. */
    MAIL_RECORD_MAX = RECORD_SIZE_MAX - 4096,
    MAIL_HEADER_MAX = UINT16_MAX - 128
};

/* Of a message that was delivered so often without success, now to be delivered again. */
struct mail_stamp {
    uint64_t seq;
    uint64_t expires_us; /* wall clock, 0: never */
    uint32_t tries;
};

/* Reads a kept record as what its receiver gets: kind DELIVER, what remains of its time, number and
 * attempt; no token. Views into record. False: it cannot be read. */
bool mail_form_deliver(struct bytes record, const struct mail_stamp *stamp, uint64_t wall_us,
                       struct message *message);

static inline bool
mail_form_is_expired(uint64_t expires_us, uint64_t wall_us)
{
    return expires_us != 0 && expires_us <= wall_us;
}

/* Appends the contract's `mail` map of a message of kind DELIVER. A payload that is not one whole
 * msgpack value is said as binary. */
void mail_form_pack(struct buffer *out, const struct message *message, bool with_payload);

enum {
    /* It appends at most so many bytes beyond the payload's and the metadata's. */
    MAIL_FORM_OVERHEAD = 1200,
    /* Bytes of maps that an answer has room for, whatever stands around them. */
    MAIL_ANSWER_MAX = RECORD_SIZE_MAX - 1200
};

/* The contract's `dead_letter`. row and bytes are of a MAIL_DEAD_READ's answer. False: it cannot be
 * read; nothing was appended. */
bool mail_form_pack_dead(struct buffer *out, const struct mail_row *row, struct bytes bytes,
                         bool with_payload);

/* `waiting` of the first inbox in a MAIL_FIGURES' answer; 0 when there is none. */
uint64_t mail_form_waiting(struct bytes figures);

#endif
