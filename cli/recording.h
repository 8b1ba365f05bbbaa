/* SPDX-License-Identifier: Apache-2.0 */
/* cli/recording.h - what a tap showed, as a file.
 *
 * JSON lines. The first: {"sos_recording":1,"version":…,"started_at":…,"payloads":true|false,
 * "filters":{…}}. Then one object per record as the tap gives it (docs/PROTOCOL.md), and
 * {"dropped":N} where records are missing. A payload that JSON cannot give back exactly stands
 * beside it as "packed": base64 of its msgpack. Mode 0600: it shows what was said. */
#ifndef SOS_CLI_RECORDING_H
#define SOS_CLI_RECORDING_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/json.h"
#include "kernel/pack.h"
#include "kernel/status.h"

enum { RECORDING_LINE_MAX = 1024 * 1024 };

/* ---- writing */

struct recorder;

/* A new file: one that is there is not touched (ALREADY_EXISTS). filters: a packed map. */
enum status recorder_open(struct recorder **recorder_p, const char *path, bool payloads,
                          struct bytes filters, uint64_t wall_us, struct error *error);
/* Once a write has failed, all later ones do. */
enum status recorder_add(struct recorder *recorder, struct bytes record, struct error *error);
enum status recorder_dropped(struct recorder *recorder, uint64_t dropped, struct error *error);
/* What was added is with the kernel when it returns OK. */
enum status recorder_flush(struct recorder *recorder, struct error *error);
enum status recorder_close(struct recorder **recorder_p, struct error *error);

/* ---- reading */

enum recorded_type { RECORDED_HEAD, RECORDED_RECORD, RECORDED_DROPPED };

/* One line. Views into the buffer that it was read into. */
struct recorded {
    enum recorded_type type;
    struct value value; /* the whole line */
    bool payloads;      /* of the head */
    uint64_t dropped;
    struct bytes payload; /* of a record, exact; empty: none */
};

/* Any bytes are safe. INVALID: what the line is not. */
enum status recording_parse(struct json_parser *parser, struct text line, struct buffer *bytes,
                            struct recorded *recorded, struct error *error);

struct recording;

/* path "-": standard input. INVALID: it does not begin with a head, or with one of a later form. */
enum status recording_open(struct recording **recording_p, const char *path, bool *payloads,
                           struct error *error);
void recording_close(struct recording **recording_p);

/* The next line, valid until the next call; *end: there is none. Errors name file and line. */
enum status recording_next(struct recording *recording, struct recorded *recorded, bool *end,
                           struct error *error);

#endif
