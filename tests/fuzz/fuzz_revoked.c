/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of revoked capabilities: every entry that is given is within its bounds,
 * and what is read once reads the same from the frames that are written of it. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/revocation_form.h"

enum { ENTRIES_MAX = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct entries_taken {
    struct revocation list[ENTRIES_MAX];
    size_t count;
};

static enum status
take(void *context, const struct revocation *revocation, struct error *error)
{
    struct entries_taken *taken = context;
    (void)error;
    if (revocation->id.size == 0 || revocation->id.size > CAPABILITY_ID_MAX)
        abort();
    if (taken->count < ENTRIES_MAX)
        taken->list[taken->count++] = *revocation;
    return STATUS_OK;
}

static void
read_again(const struct entries_taken *first)
{
    struct entries_taken second = {.count = 0};
    struct buffer frame;
    size_t whole = 0;
    buffer_init(&frame);
    revocation_form_pack(&frame, first->list, first->count);
    if (revocation_form_read(buffer_bytes(&frame), take, &second, &whole, NULL) != STATUS_OK ||
        whole != frame.size || second.count != first->count)
        abort();
    for (size_t i = 0; i < first->count; i++)
        if (!text_equal(first->list[i].id, second.list[i].id) ||
            first->list[i].expires_us != second.list[i].expires_us)
            abort();
    buffer_clear(&frame);
}

/* A fuzzer finds no BLAKE2b: the rest of the input is the payload of a frame that is whole. */
static void
read_entries(const uint8_t *data, size_t size)
{
    struct entries_taken made = {.count = 0};
    while (size > 0 && made.count < ENTRIES_MAX) {
        size_t id_size = 1 + data[0] % CAPABILITY_ID_MAX;
        if (id_size >= size)
            break;
        made.list[made.count++] =
            (struct revocation){{(const char *)data + 1, id_size}, (uint64_t)data[0] << 32};
        data += 1 + id_size;
        size -= 1 + id_size;
    }
    read_again(&made);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct entries_taken taken = {.count = 0};
    size_t whole = 0;
    if (sodium_init() < 0)
        abort();
    if (revocation_form_read((struct bytes){data, size}, take, &taken, &whole, NULL) == STATUS_OK &&
        whole > size)
        abort();
    read_again(&taken);
    read_entries(data, size);
    return 0;
}
