/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/translate.h - between HTTP and the bus: a request becomes one msgpack map, an answer
 * JSON.
 *
 * Types follow the contract: the text "10" of a path or query becomes 10 where the field is an
 * integer. Text that does not fit its field is passed on as text, so that validation behind the bus
 * answers 422 in its own words. Values of path and query beat those of the body. Pure; one thread.
 */
#ifndef SOS_GATEWAY_TRANSLATE_H
#define SOS_GATEWAY_TRANSLATE_H

#include "gateway/routes.h"
#include "gateway/uri.h"
#include "kernel/bytes.h"
#include "kernel/contract.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct translator; /* keeps a JSON parser and its buffers between calls */

struct translator *translator_new(void); /* NULL when out of memory */
void translator_destroy(struct translator **translator_p);

struct translate_input {
    const struct route_match *match;
    const struct uri *uri;
    struct text body;
    struct text capability_header; /* X-SOS-Capability */
    struct text authorization;
};

/* Views into the translator, valid until its next call. */
struct translated {
    struct bytes payload;   /* one msgpack map */
    struct text capability; /* the token's JSON, empty when none came */
    bool stream;            /* the caller wants the answer in pieces */
};

/* INVALID: the body is no JSON object, or the capability cannot be read (words
 * invalid_capability_header and invalid_capability_payload). The first of X-SOS-Capability,
 * Authorization: Bearer and the body's member "capability" counts; that member never reaches the
 * payload. */
enum status translate_request(struct translator *translator, const struct translate_input *input,
                              struct translated *out, struct error *error);

/* Appends the JSON of a successful answer's payload; nothing is an empty object. INVALID when it is
 * not msgpack. */
enum status translate_answer(struct bytes payload, struct buffer *json, struct error *error);

/* Appends {"ok":false,"detail":word,"error":{code,message,detail,context}}. payload: what
 * error_pack() made, or anything else: missing parts are those of the status. */
void translate_refusal(enum status status, struct bytes payload, struct buffer *json);

/* Only the inner object {code,message,detail,context}. */
void translate_error_object(enum status status, struct bytes payload, struct buffer *json);

#endif
