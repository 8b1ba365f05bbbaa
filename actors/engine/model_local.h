/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/model_local.h - sos-local: answers without a language model, from what it was told.
 *
 * A statement is acknowledged. A question is answered by citing the statements that share most
 * content words with it, the newest first among equals. The same input always gives the same
 * answer. */
#ifndef SOS_ENGINE_MODEL_LOCAL_H
#define SOS_ENGINE_MODEL_LOCAL_H

#include <stdbool.h>

#include "kernel/bytes.h"

enum {
    LOCAL_CITATIONS_MAX = 3,
    LOCAL_CITATION_SIZE_MAX = 300 /* bytes of one cited text */
};

/* Something that the user once said; questions among them are passed over. */
struct local_note {
    struct text words;
    struct text memory_id; /* "": said in this conversation */
    uint64_t at_us;
};

struct local_question {
    struct text message;
    const struct local_note *notes; /* best recalled first */
    size_t note_count;
    bool remembers; /* a statement outlives its conversation */
};

/* What the answer rests on; views into the notes. */
struct local_citation {
    struct text words;
    struct text memory_id;
    uint64_t at_us;
};

/* Appends the answer; returns how many citations there are. */
size_t model_local_answer(const struct local_question *question, struct buffer *content,
                          struct local_citation citations[static LOCAL_CITATIONS_MAX]);

#endif
