/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_gone.h - which rows the batch under way deletes: the store still shows them.
 * One thread. */
#ifndef SOS_BROKER_MAIL_MAIL_GONE_H
#define SOS_BROKER_MAIL_MAIL_GONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gone_row;

/* Zero-initialised: empty. */
struct gone {
    struct gone_row *rows;
    size_t size; /* a power of two, or 0 */
    size_t count;
    uint32_t round; /* rows of earlier rounds do not count */
};

/* owner: stays at its address while the batch lasts; kind tells its numberings apart. */
bool gone_has(const struct gone *gone, const void *owner, unsigned kind, uint64_t number);
bool gone_add(struct gone *gone, const void *owner, unsigned kind, uint64_t number); /* false: no
                                                                                        memory */
void gone_reset(struct gone *gone);
void gone_clear(struct gone *gone);

#endif
