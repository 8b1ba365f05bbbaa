/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/bus.h - the operations that the broker itself offers as service:bus: validated and
 * allowed by its contract, like any service's. */
#ifndef SOS_BROKER_CORE_BUS_H
#define SOS_BROKER_CORE_BUS_H

#include "broker/core/state.h"
#include "contracts/bus.h"
#include "kernel/contract.h"

/* A request to service:bus; the verdict. */
const char *bus_request(struct core *core, struct peer *peer, const struct message *message);

/* One call, validated and allowed. Borrowed during the handler. */
struct bus_call {
    struct peer *peer;
    const struct message *message;
    const struct arguments *arguments; /* fields: BUS_SEND_TO … */
};

/* Answers at once (bus_answer, bus_refuse), or keeps the request (bus_keep) and answers later. */
typedef const char *bus_handler(struct core *core, const struct bus_call *call);

/* Handlers, each in the file of its subject. */
#define BUS_HANDLER(operation, handler) extern bus_handler bus_##handler;
BUS_OPERATIONS(BUS_HANDLER)
#undef BUS_HANDLER

const char *bus_answer(struct core *core, const struct bus_call *call, struct bytes payload);
const char *bus_refuse(struct core *core, const struct bus_call *call, enum status status,
                       const struct error *error);

/* Keeps the request until request_end(): it ends by its reply, its deadline, a cancel or the end of
 * its session. work belongs to the caller; ops->ended releases it. NULL when out of memory. */
struct request *bus_keep(struct core *core, const struct bus_call *call,
                         const struct request_work *ops, void *work);
/* Answers a kept request and ends it. */
void bus_reply(struct core *core, struct request *request, struct bytes payload);
void bus_fail(struct core *core, struct request *request, enum status status,
              const struct error *error);
/* One chunk of a kept stream's answer. FULL also without credit; nothing was sent then. */
enum core_sent bus_chunk(struct core *core, struct request *request, struct bytes payload);

/* The contract's capability of this call: checked before every handler but those of tap and listen,
 * which call it when it is what they need. */
enum status bus_check_rights(struct core *core, const struct bus_call *call, struct error *error);

/* May the caller speak in this name, the value of `field`? It has to be an identity, and services
 * and the system speak for themselves alone, whatever a caller may do for agents and people.
 * VALIDATION, FORBIDDEN. */
enum status bus_check_speaker(const struct bus_call *call, struct text speaker, const char *field,
                              struct error *error);

/* May this record's sender do `operation` (OP_BUS_PUBLISH …) on `resource`? For record kinds, which
 * carry no contract's fields. A token that was accepted holds for the session; what is below the
 * sender's own name (agent:kasra:events) is its own. The resource may be a pattern. Words as
 * authorise(). RATE_LIMITED: too many tokens to check. */
enum status bus_allow(struct core *core, struct peer *peer, const struct message *message,
                      unsigned operation, struct text resource, struct error *error);

#endif
