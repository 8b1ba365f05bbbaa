/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/refuse_later.h - refuses a request and keeps what its step wrote.
 *
 * A step that is refused writes nothing; a wrong guess has to be counted all the same. So the step
 * ends well, and the next one, once the writes are on disk, has the words. */
#ifndef SOS_IDENTITY_REFUSE_LATER_H
#define SOS_IDENTITY_REFUSE_LATER_H

#include "actors/runtime/service.h"

/* Return what it returns: PENDING, or NOMEM. */
enum status refuse_later(struct request *request, struct outcome *outcome, enum status status,
                         const struct error *error);

#endif
