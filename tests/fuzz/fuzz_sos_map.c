/* SPDX-License-Identifier: Apache-2.0 */
/* A payload from anybody as a map of the public library: what it packs again must read as the same,
 * as JSON too, and a path made of the same bytes must lead nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "kernel/assert.h"
#include "sdk/c/sos.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_up(const struct sos_map *map, const uint8_t *data, size_t size)
{
    char path[65];
    if (size >= sizeof path)
        size = sizeof path - 1;
    memcpy(path, data, size);
    path[size] = '\0';
    enum sos_type type = sos_map_type(map, path);
    ASSERT((type == SOS_TYPE_TEXT) == (sos_map_text(map, path) != NULL));
    ASSERT((type == SOS_TYPE_MAP || type == SOS_TYPE_LIST) == (sos_map_get(map, path) != NULL));
    sos_map_bytes(map, path);
    sos_map_int(map, path, 0);
    sos_map_uint(map, path, 0);
    sos_map_double(map, path, 0);
    sos_map_bool(map, path, false);
    for (size_t i = 0; i <= sos_map_count(map); i++)
        sos_map_key(map, i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sos_map *map = NULL;
    struct sos_map *again = NULL;
    char *json = NULL;
    if (sos_payload_to_json((struct sos_bytes){data, size}, &json, NULL) == SOS_OK)
        free(json);
    if (sos_map_parse(&map, (struct sos_bytes){data, size}, NULL) != SOS_OK)
        return 0;
    look_up(map, data, size);
    struct sos_bytes packed = sos_map_payload(map);
    ASSERT(sos_map_parse(&again, packed, NULL) == SOS_OK);
    struct sos_bytes repacked = sos_map_payload(again);
    ASSERT(packed.size == repacked.size && memcmp(packed.data, repacked.data, packed.size) == 0);
    json = sos_map_to_json(map);
    ASSERT(json);
    free(json);
    sos_map_free(&map);
    sos_map_free(&again);
    return 0;
}
