/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_known.h - which messages were accepted a while ago, so that the same one sent
 * again is not kept again.
 *
 * Bounded by number and age. In memory 24 bytes an id and a hash slot or two; on disk one row for
 * each batch. An id is hashed, with the sender's name, by a secret of the store: nobody can choose
 * ids that collide. One thread. */
#ifndef SOS_BROKER_MAIL_MAIL_KNOWN_H
#define SOS_BROKER_MAIL_MAIL_KNOWN_H

#include "broker/mail/mail_rows.h"
#include "kernel/clock.h"

struct known;

struct mail_id {
    uint8_t bytes[MAIL_ID_SIZE];
};

enum known_answer {
    KNOWN_NOT,
    KNOWN_KEPT,     /* accepted, on disk */
    KNOWN_UNDER_WAY /* accepted in the batch under way */
};

/* Loads the rows; makes and writes the secret when there is none. STORE_FAILED, NOMEM, VALIDATION
 * naming the row. */
enum status known_open(struct known **known_p, struct store *store, uint64_t age_ms_max,
                       uint64_t count_max, struct now now, struct error *error);
void known_close(struct known **known_p);

/* Before a batch: forgets what is too old or too much. */
void known_forget(struct known *known, struct now now);

struct mail_id known_id(const struct known *known, struct text sender, const struct uuid *id);
enum known_answer known_find(const struct known *known, const struct mail_id *id);
/* False when out of memory. The id is not known yet. */
bool known_add(struct known *known, const struct mail_id *id, struct now now);
/* Takes the newest one back. */
void known_take_back(struct known *known);

/* Puts the row of the batch's ids into it, and deletes rows that nobody needs any more. NOMEM. */
enum status known_write(struct known *known, struct store_batch *batch, struct now now);
void known_keep(struct known *known);
void known_revert(struct known *known);

/* When rows should be deleted even if nothing else is written (monotonic); UINT64_MAX. */
uint64_t known_due_us(const struct known *known);

#endif
