/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/status.h - what an operation answered, and how each door says it.
 *
 * One row per status: the number that travels in a record's header and in the
 * JSON error body, the HTTP status, the machine word and the human text. A new
 * status is one new row. The number is the enum's value, so nothing is mapped.
 */
#ifndef SOS_KERNEL_STATUS_H
#define SOS_KERNEL_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/*    id                  code  HTTP  word                     text */
#define STATUS_MAP(X)                                                                              \
    X(OK, 0, 200, "ok", "ok")                                                                      \
    X(PENDING, 1, 202, "pending", "accepted, the answer comes later")                              \
    X(UNKNOWN, 1000, 500, "unknown", "an unknown error")                                           \
    X(INVALID, 1001, 400, "invalid_request", "the request cannot be read")                         \
    X(INTERNAL, 1002, 500, "internal_error", "an internal error")                                  \
    X(UNAVAILABLE, 1003, 503, "service_unavailable", "the service is not available")               \
    X(TIMEOUT, 1004, 504, "timeout", "no answer in time")                                          \
    X(VALIDATION, 1005, 422, "validation_error", "a field is missing or of the wrong type")        \
    X(TOO_LARGE, 1006, 413, "payload_too_large", "the request is larger than allowed")             \
    X(METHOD_NOT_ALLOWED, 1007, 405, "method_not_allowed", "the path does not know this method")   \
    X(CANCELLED, 1008, 499, "cancelled", "cancelled by the caller")                                \
    X(UNKNOWN_OUTCOME, 1009, 503, "unknown_outcome",                                               \
      "the connection was lost while the call was in flight; it may or may not have been done")    \
    X(NOT_IMPLEMENTED, 1010, 501, "not_implemented", "not available in this configuration")        \
    X(STORE_FAILED, 1011, 500, "internal_error", "storage failed")                                 \
    X(NOMEM, 1012, 503, "service_unavailable", "out of memory")                                    \
    X(BUSY, 1013, 503, "service_busy", "too much work is waiting; try again later")                \
    X(BAD_GATEWAY, 1014, 502, "bad_gateway", "another server gave an answer that cannot be used")  \
    X(HELLO_REQUIRED, 1015, 400, "hello_required", "the session must begin with a hello")          \
    X(VERSION, 1016, 400, "version_unsupported", "no common protocol version")                     \
    X(UNAUTHORIZED, 2001, 401, "unauthorized", "not authenticated")                                \
    X(FORBIDDEN, 2002, 403, "forbidden", "not permitted")                                          \
    X(TOKEN_EXPIRED, 2003, 403, "token_expired", "the capability has expired")                     \
    X(TOKEN_INVALID, 2004, 401, "token_invalid", "the capability's signature is wrong")            \
    X(SCOPE_DENIED, 2005, 403, "scope_denied", "the capability does not cover this")               \
    X(CAPABILITY_MISSING, 2006, 401, "missing_capability", "this call needs a capability")         \
    X(NOT_FOUND, 3001, 404, "not_found", "not found")                                              \
    X(ALREADY_EXISTS, 3002, 409, "already_exists", "already exists")                               \
    X(CONFLICT, 3003, 409, "conflict", "not allowed in this state")                                \
    X(GONE, 3004, 410, "gone", "no longer there")                                                  \
    X(RATE_LIMITED, 4001, 429, "rate_limited", "too many requests")                                \
    X(QUOTA_EXCEEDED, 4002, 429, "quota_exceeded", "a limit is reached")                           \
    X(CIRCUIT_OPEN, 4003, 503, "circuit_open", "failing too often; not tried for a while")         \
    X(MODEL_UNAVAILABLE, 5001, 503, "model_unavailable", "the model is not available")             \
    X(MODEL_OVERLOADED, 5002, 503, "model_overloaded", "the model is overloaded")                  \
    X(CONTEXT_TOO_LONG, 5003, 400, "context_too_long", "the conversation is too long")             \
    X(GENERATION_FAILED, 5004, 502, "generation_failed", "the model failed to answer")             \
    X(NO_MODELS, 5005, 503, "no_models_available", "no model is available")                        \
    X(MEMORY_FULL, 6001, 429, "memory_full", "the memory quota is reached")                        \
    X(VECTOR_ERROR, 6002, 500, "vector_error", "the vector index failed")                          \
    X(EMBEDDING_FAILED, 6003, 502, "embedding_failed", "no embedding could be made")               \
    X(RETRIEVAL_FAILED, 6004, 500, "retrieval_failed", "memories could not be read")               \
    X(INSUFFICIENT_FUNDS, 7001, 402, "insufficient_funds", "not enough funds")                     \
    X(INVALID_TRANSACTION, 7002, 400, "invalid_transaction", "the transaction is not valid")       \
    X(LEDGER_ERROR, 7003, 500, "ledger_error", "the ledger failed")                                \
    X(TOOL_NOT_FOUND, 8001, 404, "tool_not_found", "no such tool")                                 \
    X(TOOL_FAILED, 8002, 502, "tool_execution_failed", "the tool failed")                          \
    X(TOOL_TIMEOUT, 8003, 504, "tool_timeout", "the tool did not finish in time")                  \
    X(TOOL_DENIED, 8004, 403, "tool_permission_denied", "the tool may not do this")                \
    X(SANDBOX_ERROR, 8005, 500, "sandbox_error", "the sandbox failed")

enum status {
#define STATUS_ENUM(id, code, http, word, text) STATUS_##id = (code),
    STATUS_MAP(STATUS_ENUM)
#undef STATUS_ENUM
};

/* The status with this number; STATUS_UNKNOWN for a number without a row
 * (a newer peer may know more of them). */
enum status status_from_code(uint64_t code);

/* Static strings and numbers of the row. A value that is no row is UNKNOWN's. */
int status_http(enum status status);
const char *status_word(enum status status);
const char *status_text(enum status status);

/* The coarser words of a response: success error pending unauthorized rate_limited
 * not_found validation_error. Static. */
const char *status_response_word(enum status status);

#endif
