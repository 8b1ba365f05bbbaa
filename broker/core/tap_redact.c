/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_redact.h"

#include <stdlib.h>

#include "kernel/pack.h"

#define REDACTED "[redacted]"

struct type_secrets {
    const char *type;
    const char *const *names; /* NULL: none */
};

struct tap_secrets {
    size_t type_count;
    struct type_secrets *types; /* of every operation, by type */
    size_t name_count;
    const char **names; /* of all */
};

static int
compare_types(const void *a, const void *b)
{
    return strcmp(((const struct type_secrets *)a)->type, ((const struct type_secrets *)b)->type);
}

static void
fill(struct tap_secrets *secrets, const struct contract *const *list)
{
    for (size_t i = 0; list[i]; i++) {
        for (size_t j = 0; j < list[i]->operation_count; j++) {
            const struct operation *operation = &list[i]->operations[j];
            secrets->types[secrets->type_count++] =
                (struct type_secrets){operation->type, operation->secrets};
            for (size_t k = 0; operation->secrets && operation->secrets[k]; k++)
                secrets->names[secrets->name_count++] = operation->secrets[k];
        }
    }
    qsort(secrets->types, secrets->type_count, sizeof *secrets->types, compare_types);
}

struct tap_secrets *
tap_secrets_new(const struct contract *const *list)
{
    size_t types = 1;
    size_t names = 1;
    for (size_t i = 0; list[i]; i++) {
        types += list[i]->operation_count;
        for (size_t j = 0; j < list[i]->operation_count; j++) {
            const char *const *name = list[i]->operations[j].secrets;
            for (; name && *name; name++)
                names++;
        }
    }
    struct tap_secrets *secrets = calloc(1, sizeof *secrets);
    if (!secrets)
        return NULL;
    secrets->types = calloc(types, sizeof *secrets->types);
    secrets->names = calloc(names, sizeof *secrets->names);
    if (secrets->types && secrets->names)
        fill(secrets, list);
    else
        tap_secrets_destroy(&secrets);
    return secrets;
}

void
tap_secrets_destroy(struct tap_secrets **secrets_p)
{
    struct tap_secrets *secrets = *secrets_p;
    if (!secrets)
        return;
    free(secrets->types);
    free(secrets->names);
    free(secrets);
    *secrets_p = NULL;
}

/* ---- */

struct names {
    const char *const *list;
    size_t count;
};

static struct names
names_of(const struct tap_secrets *secrets, struct text type)
{
    size_t low = 0;
    size_t high = secrets->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct type_secrets *row = &secrets->types[middle];
        size_t size = strlen(row->type);
        int order =
            memcmp(type.data ? type.data : "", row->type, type.size < size ? type.size : size);
        if (order == 0 && type.size == size) {
            struct names names = {row->names, 0};
            while (names.list && names.list[names.count])
                names.count++;
            return names;
        }
        if (order < 0 || (order == 0 && type.size < size))
            high = middle;
        else
            low = middle + 1;
    }
    return (struct names){secrets->names, secrets->name_count};
}

/* Copies a value in as few pieces as there are secrets in it. */
struct copy {
    struct names names;
    struct reader reader;
    const uint8_t *from; /* not copied yet */
    struct buffer *out;
    bool redacted;
};

static bool
is_secret(const struct copy *copy, const struct value *key)
{
    if (key->type != VALUE_TEXT)
        return false;
    if (text_equal_string(key->as.text, "capability"))
        return true;
    for (size_t i = 0; i < copy->names.count; i++)
        if (text_equal_string(key->as.text, copy->names.list[i]))
            return true;
    return false;
}

static void
take_out(struct copy *copy)
{
    buffer_append(copy->out, copy->from, (size_t)(copy->reader.at - copy->from));
    reader_skip(&copy->reader);
    copy->from = copy->reader.at;
    pack_string(copy->out, REDACTED);
    copy->redacted = true;
}

/* As deep as PACK_DEPTH_MAX: the value was parsed. */
static void
walk(struct copy *copy)
{
    struct value value;
    if (!reader_next(&copy->reader, &value))
        return;
    if (value.type == VALUE_ARRAY) {
        for (uint32_t i = 0; i < value.as.count; i++)
            walk(copy);
    } else if (value.type == VALUE_MAP) {
        for (uint32_t i = 0; i < value.as.count; i++) {
            struct reader at_key = copy->reader;
            struct value key;
            bool secret = reader_next(&at_key, &key) && is_secret(copy, &key);
            walk(copy); /* the key, which may be any value */
            if (secret)
                take_out(copy);
            else
                walk(copy);
        }
    }
}

enum tap_payload
tap_redact(const struct tap_secrets *secrets, struct text type, struct bytes payload,
           struct buffer *out)
{
    struct value whole;
    if (!value_parse(payload, &whole))
        return TAP_UNREADABLE;
    struct copy copy = {.names = names_of(secrets, type),
                        .reader = reader_of(payload),
                        .from = payload.data,
                        .out = out};
    walk(&copy);
    buffer_append(out, copy.from, (size_t)(payload.data + payload.size - copy.from));
    return copy.redacted ? TAP_REDACTED : TAP_WHOLE;
}
