/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/revoked.h - the file of revoked capabilities: data/broker/revoked.
 *
 * Appended to and synced before a revocation is answered; written anew without what has expired
 * when it is opened and when it has grown too large. What a crash has torn off at the end was never
 * answered and is cut away. Damage before something that is whole would lose a revocation, so the
 * broker does not start then. Calls block; one thread. */
#ifndef SOS_BROKER_NET_REVOKED_H
#define SOS_BROKER_NET_REVOKED_H

#include "kernel/bytes.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/revocations.h"
#include "kernel/status.h"

struct revoked;

/* Reads the file; there may be none. VALIDATION names the file and where it is damaged; else as
 * platform/file.h. logger may be NULL. */
enum status revoked_open(struct revoked **revoked_p, const char *path, struct now now,
                         const struct logger *logger, struct error *error);
void revoked_close(struct revoked **revoked_p);

/* Those that were read and have not expired. Borrowed. */
const struct revocations *revoked_list(const struct revoked *revoked);

/* Lasting when it returns OK. STORE_FAILED: it may be there after a restart or not. */
enum status revoked_add(struct revoked *revoked, const struct revocation *list, size_t count,
                        struct now now, struct error *error);

#endif
