/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/contract.h - what a service offers, as data: the one source of routes,
 * validation, capability checks and documents.
 *
 * kernel/contracts/<service>.json is read by kernel/contracts/generate.py, which
 * writes generated/contracts/<service>.h (enums OP_MEMORY_STORE …, field indexes
 * MEMORY_STORE_CONTENT …, and the X-macro MEMORY_OPERATIONS that a service fills with handlers)
 * and .c (the tables below). Tables are constant; any thread. */
#ifndef SOS_KERNEL_CONTRACT_H
#define SOS_KERNEL_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/pack.h"
#include "kernel/status.h"

enum field_type {
    FIELD_ANY,     /* any JSON value */
    FIELD_STRING,  /* UTF-8 text */
    FIELD_INTEGER, /* whole number, within 64 bits */
    FIELD_NUMBER,  /* integer or floating point, finite */
    FIELD_BOOLEAN,
    FIELD_IDENTITY, /* 1..255 bytes of text without control characters, kept as given */
    FIELD_UUID,     /* text; only its length is bounded: foreign forms are unknown, not ill-typed */
    FIELD_AMOUNT,   /* integer microMIND */
    FIELD_TIMESTAMP, /* ISO 8601 text */
    FIELD_GLOB,
    FIELD_MAP,
    FIELD_LIST
};

enum field_flag {
    FIELD_REQUIRED = 1u << 0,
    FIELD_SECRET = 1u << 1,  /* its value is never shown or logged */
    FIELD_NULLABLE = 1u << 2 /* null counts as absent; every optional field is nullable */
};

enum field_place { PLACE_BODY, PLACE_PATH, PLACE_QUERY };

struct field {
    const char *name;
    enum field_type type;
    enum field_type item; /* of a LIST */
    unsigned flags;       /* enum field_flag */
    enum field_place place;
    struct bytes fallback;         /* the default, packed; empty = none */
    int64_t min, max;              /* INTEGER, AMOUNT; also NUMBER when number bounds are whole */
    double number_min, number_max; /* NUMBER */
    uint32_t size_min, size_max;   /* bytes of text, entries of LIST and MAP */
    const char *const
        *words; /* allowed texts, NULL-terminated; NULL = any. Of a LIST: of its items */
    const char *summary;
};

enum door { DOOR_ENGINE, DOOR_MEMORY, DOOR_ECONOMY, DOOR_TOOLS, DOOR_IDENTITY, DOOR_VOICE, DOORS };

/* "engine" … "voice". Static. */
const char *door_word(enum door door);

struct route {
    enum door door;
    const char *method; /* "GET" "POST" "DELETE" */
    const char *path;   /* "/memories/{id}" */
};

enum operation_flag {
    OPERATION_READ = 1u << 0,
    OPERATION_WRITE = 1u << 1,
    OPERATION_STREAM = 1u << 2,        /* may answer in chunks (chat) */
    OPERATION_STREAM_ALWAYS = 1u << 3, /* answers in chunks whatever the request says */
    OPERATION_IDEMPOTENT = 1u << 4,    /* safe to send again */
    OPERATION_DANGEROUS = 1u << 5,     /* needs its capability even where enforcement is off */
    OPERATION_AUDITED = 1u << 6,
    /* The resource names something that only the handler knows, such as a memory's owner. Before
     * the handler the runtime checks signature, expiry and action; the handler then hands the
     * resource over to be checked, and answers nothing about the thing when that is refused. */
    OPERATION_RESOLVES_RESOURCE = 1u << 7,
    /* A peer whose own key is the subject's needs no capability: its key proves who it is. */
    OPERATION_OWN = 1u << 8
};

struct operation_error {
    enum status status;
    const char *word; /* "memory_not_found" */
};

struct operation {
    const char *service; /* "memory" */
    const char *name;    /* "store" */
    const char *type;    /* message type on the bus: "memory_store" */
    const char *summary;
    unsigned index;      /* its OP_… within the service */
    unsigned flags;      /* enum operation_flag */
    uint32_t body_max;   /* bytes of HTTP body; 0 = the gateway's default */
    uint32_t timeout_ms; /* default budget; never 0 */
    const struct route *routes;
    size_t route_count;
    const struct field *fields;
    size_t field_count;
    const char *capability_action;   /* NULL: needs none */
    const char *capability_resource; /* template, e.g. ledger:balance/{agent_id} */
    const char *capability_subject;  /* field that names whom the call acts for, also without an
                                      * action; NULL: any subject */
    const char *const *secrets; /* names of secret fields, of requests and answers at any depth,
                                 * NULL-terminated; NULL: it has none */
    const struct operation_error *errors;
    size_t error_count;
};

struct contract {
    const char *service;
    const char *summary;
    bool single; /* instances: one */
    const struct operation *operations;
    size_t operation_count;
};

/* Every contract, NULL-terminated; generated. */
extern const struct contract *const contracts[];

/* Every route as OpenAPI 3.1: JSON in ASCII; size without the closing NUL. Generated. */
extern const char contract_openapi_json[];
extern const size_t contract_openapi_json_size;

const struct contract *contract_find(struct text service);
const struct operation *contract_operation(const struct contract *contract, struct text type);

enum {
    ARGUMENTS_MAX = 32 /* fields of one operation; the generator refuses more */
};

/* A request's fields after validation, indexed as in the contract. Values
 * borrow from the payload (or the constant default). */
struct arguments {
    const struct operation *operation;
    bool present[ARGUMENTS_MAX]; /* came, or has a default */
    struct value values[ARGUMENTS_MAX];
    struct value map; /* the whole payload, for what passes it on */
};

/* Checks a payload (one msgpack map; empty bytes count as an empty map) against the
 * operation. VALIDATION: error->field is set and the message reads
 * `field: came X, expected Y` with X cut and free of control characters (a secret field's value
 * is never shown). Unknown fields are ignored, null for an optional field is absent, of duplicate
 * keys the first counts. INVALID: the bytes are not one whole msgpack value. */
enum status contract_validate(const struct operation *operation, struct bytes payload,
                              struct arguments *arguments, struct error *error);

/* Typed access; ASSERTs that the field has that type. Absent: "", 0, false, empty. */
struct text arguments_text(const struct arguments *arguments, unsigned field);
int64_t arguments_integer(const struct arguments *arguments, unsigned field);
double arguments_number(const struct arguments *arguments, unsigned field);
bool arguments_boolean(const struct arguments *arguments, unsigned field);
bool arguments_has(const struct arguments *arguments, unsigned field);

/* Fills the capability resource template from the arguments: "{agent_id}" is
 * replaced by that field's text, "" when absent. */
void contract_resource(const struct operation *operation, const struct arguments *arguments,
                       struct buffer *out);

#endif
