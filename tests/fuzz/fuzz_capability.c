/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a token: refused with the member named, or parsed; no forged one passes. */
#include <stdlib.h>

#include "kernel/capability.h"
#include "kernel/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition)
        abort();
}

static void
check(const struct capability *capability)
{
    static const struct ed25519_public_key key = {{0x66, 0x6f, 0x72}}; /* nobody holds its secret */
    const struct capability_request request = {.action = text_of(capability_action(capability)),
                                               .resource = text_of(capability_resource(capability)),
                                               .subject = text_of(capability_subject(capability))};
    struct error error = ERROR_INIT;
    require(capability_check(capability, &key, 1, &request, 0, &error) == STATUS_TOKEN_INVALID);
    require(error.message[0] != '\0');
    (void)glob_match(request.resource, request.subject);

    struct buffer signed_bytes = {0}, packed = {0}, again = {0};
    struct json_parser *parser = json_parser_new();
    require(parser && capability_signed_bytes(capability, &signed_bytes) == STATUS_OK);
    require(json_to_msgpack(parser, buffer_text(&signed_bytes), &packed, NULL) == STATUS_OK);
    require(json_canonical(buffer_bytes(&packed), &again, NULL) == STATUS_OK);
    require(text_equal(buffer_text(&signed_bytes), buffer_text(&again)));
    json_parser_destroy(&parser);
    buffer_clear(&signed_bytes);
    buffer_clear(&packed);
    buffer_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct capability *capability = NULL;
    struct error error = ERROR_INIT;
    enum status status =
        capability_parse(&capability, (struct text){(const char *)data, size}, &error);
    if (status == STATUS_OK)
        check(capability);
    else
        require(!capability && strcmp(error.word, "invalid_capability_payload") == 0);
    capability_destroy(&capability);
    return 0;
}
