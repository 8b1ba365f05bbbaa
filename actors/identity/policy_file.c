/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/policy_file.h"

#include <stdio.h>

#include "actors/identity/policy_builtin.h"
#include "kernel/paths.h"
#include "platform/file.h"

static const struct policy_builtin *
find_builtin(struct text edition)
{
    for (const struct policy_builtin *row = policy_builtins; row->edition; row++)
        if (text_equal_string(edition, row->edition))
            return row;
    return NULL;
}

/* NOT_FOUND: the home has none of its own. */
static enum status
load_own(const char *home, struct text edition, char path[static PATH_SIZE], struct buffer *json,
         struct error *error)
{
    char relative[POLICY_EDITION_MAX + 32];
    if (!home)
        return STATUS_NOT_FOUND;
    snprintf(relative, sizeof relative, "config/policies/%.*s.json", TEXT_ARGS(edition));
    enum status status = paths_join(path, home, relative, error);
    return status == STATUS_OK ? file_load(path, POLICY_SIZE_MAX, false, json, error) : status;
}

enum status
policy_file_load(const char *home, struct text edition, struct policy **policy_p,
                 struct buffer *json, struct error *error)
{
    char path[PATH_SIZE] = "";
    struct buffer content;
    struct policy *policy = NULL;
    if (!policy_is_name(edition)) {
        error_set_word(error, "policy_not_found", "there is no edition of such a name");
        return STATUS_NOT_FOUND;
    }
    buffer_init(&content);
    enum status status = load_own(home, edition, path, &content, error);
    if (status == STATUS_NOT_FOUND) {
        const struct policy_builtin *builtin = find_builtin(edition);
        snprintf(path, sizeof path, "edition %.*s", TEXT_ARGS(edition));
        if (builtin) {
            buffer_append(&content, builtin->json, builtin->size);
            status = content.failed ? STATUS_NOMEM : STATUS_OK;
        } else {
            error_set_word(error, "policy_not_found",
                           "there is no edition %.*s: neither among the program's nor in "
                           "config/policies",
                           TEXT_ARGS(edition));
        }
    } else if (status == STATUS_TOO_LARGE) {
        error_set(error, "%s: expected at most %d bytes", path, POLICY_SIZE_MAX);
        status = STATUS_VALIDATION;
    }
    if (status == STATUS_OK)
        status = policy_parse(&policy, buffer_text(&content), path, error);
    if (status == STATUS_OK && !text_equal_string(edition, policy_edition(policy))) {
        error_set(error, "%s: edition: came %s, expected %.*s as the file is named", path,
                  policy_edition(policy), TEXT_ARGS(edition));
        status = STATUS_VALIDATION;
    }
    if (status == STATUS_OK) {
        buffer_append_text(json, buffer_text(&content));
        status = json->failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&content);
    if (status == STATUS_OK)
        *policy_p = policy;
    else
        policy_destroy(&policy);
    return status;
}
