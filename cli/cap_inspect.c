/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "actors/identity/grant.h"
#include "cli/bus_show.h"
#include "cli/cap.h"
#include "cli/invoke.h"
#include "cli/print.h"
#include "platform/river_key.h"

static enum status
find_signer(const struct cli *cli, const struct capability *capability, bool *home,
            struct error *error)
{
    struct river_key key;
    enum status status = river_key_load(cli->home, &key, error);
    if (status != STATUS_OK)
        return status;
    *home = capability_check_signature(capability, &key.public_key, 1, NULL) == STATUS_OK;
    river_key_clear(&key);
    return STATUS_OK;
}

/* What is signed, member by member, and what was found out. */
static enum status
describe(const struct cli *cli, struct text signed_bytes, bool home, uint64_t expires_us,
         struct buffer *out, struct error *error)
{
    struct buffer packed;
    struct value map, key, value;
    buffer_init(&packed);
    enum status status = grant_pack_token(signed_bytes, &packed, error);
    if (status == STATUS_OK && value_parse(buffer_bytes(&packed), &map)) {
        pack_map(out, map.as.count + 2);
        for (struct entries entries = value_entries(&map);
             entries_next_pair(&entries, &key, &value);) {
            pack_raw(out, key.raw);
            pack_raw(out, value.raw);
        }
        pack_pair_bool(out, "signed_by_this_home", home);
        pack_pair_bool(out, "expired", clock_now(cli->clock).wall_us >= expires_us);
    }
    buffer_clear(&packed);
    return status == STATUS_OK && out->failed ? STATUS_NOMEM : status;
}

static int
show(const struct cli *cli, struct bytes packed)
{
    struct error error = ERROR_INIT;
    enum status status = print_value(packed, !cli->json, &error);
    return status == STATUS_OK ? EXIT_OK : command_fail("cap", EXIT_FAILED, "%s", error.message);
}

static enum status
inspect(const struct cli *cli, struct text text, struct buffer *out, struct error *error)
{
    struct capability *capability = NULL;
    struct buffer bare;
    bool home = false;
    enum status status = capability_parse(&capability, text, error);
    if (status != STATUS_OK)
        return status;
    buffer_init(&bare);
    status = find_signer(cli, capability, &home, error);
    if (status == STATUS_OK)
        status = capability_signed_bytes(capability, &bare);
    if (status == STATUS_OK)
        status =
            describe(cli, buffer_text(&bare), home, capability_expires_us(capability), out, error);
    buffer_clear(&bare);
    capability_destroy(&capability);
    return status;
}

int
cap_inspect(struct cli *cli, const char *path)
{
    struct buffer token, packed;
    struct error error = ERROR_INIT;
    buffer_init(&token);
    buffer_init(&packed);
    enum status status = invoke_read_capability(path, &token, &error);
    if (status == STATUS_OK)
        status = inspect(cli, buffer_text(&token), &packed, &error);
    int code = status == STATUS_OK
                   ? show(cli, buffer_bytes(&packed))
                   : command_fail("cap", EXIT_FAILED, "%s: %s", path, error.message);
    buffer_clear(&packed);
    buffer_clear(&token);
    return code;
}
