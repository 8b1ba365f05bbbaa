/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a payload of every operation: as they come, and as the values of its own fields. */
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_field(const struct arguments *arguments, unsigned index)
{
    switch (arguments->operation->fields[index].type) {
    case FIELD_STRING:
    case FIELD_IDENTITY:
    case FIELD_UUID:
    case FIELD_TIMESTAMP:
    case FIELD_GLOB:
        ASSERT(text_is_utf8(arguments_text(arguments, index)));
        break;
    case FIELD_INTEGER:
    case FIELD_AMOUNT:
        (void)arguments_integer(arguments, index);
        break;
    case FIELD_NUMBER:
        (void)arguments_number(arguments, index);
        break;
    case FIELD_BOOLEAN:
        (void)arguments_boolean(arguments, index);
        break;
    case FIELD_ANY:
    case FIELD_MAP:
    case FIELD_LIST:
        (void)arguments_has(arguments, index);
        break;
    }
}

static void
try_payload(const struct operation *operation, struct bytes payload)
{
    struct arguments arguments;
    struct error error = ERROR_INIT;

    enum status status = contract_validate(operation, payload, &arguments, &error);
    ASSERT(status == STATUS_OK || status == STATUS_VALIDATION || status == STATUS_INVALID);
    if (status != STATUS_OK) {
        ASSERT(error.message[0] != '\0');
        ASSERT(text_is_utf8(text_of(error.message)));
        ASSERT((status == STATUS_VALIDATION) == (error.field[0] != '\0'));
        return;
    }
    for (unsigned i = 0; i < operation->field_count; i++)
        read_field(&arguments, i);
    if (operation->capability_resource) {
        struct buffer resource;
        buffer_init(&resource);
        contract_resource(operation, &arguments, &resource);
        ASSERT(resource.size > 0);
        buffer_clear(&resource);
    }
}

/* The input's values under the operation's own names, so that every check is reached. */
static void
try_values(const struct operation *operation, struct bytes input)
{
    struct reader reader = reader_of(input);
    struct buffer payload;
    uint32_t count = 0;

    buffer_init(&payload);
    for (size_t i = 0; i < operation->field_count; i++) {
        struct reader start = reader;
        if (!reader_skip(&reader))
            break;
        pack_pair_raw(&payload, operation->fields[i].name,
                      (struct bytes){start.at, (size_t)(reader.at - start.at)});
        count++;
    }

    struct buffer map;
    buffer_init(&map);
    pack_map(&map, count);
    buffer_append(&map, payload.data, payload.size);
    try_payload(operation, buffer_bytes(&map));
    buffer_clear(&map);
    buffer_clear(&payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};

    for (size_t i = 0; contracts[i]; i++)
        for (size_t j = 0; j < contracts[i]->operation_count; j++) {
            try_payload(&contracts[i]->operations[j], input);
            try_values(&contracts[i]->operations[j], input);
        }
    return 0;
}
