/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/identity.h"

#include <sodium.h>
#include <stdio.h>

enum {
    QUOTED_MAX = 64 /* bytes of a bad id that an error repeats */
};

static const struct text type_words[IDENTITY_TYPES] = {
#define IDENTITY_WORD(id, word) [IDENTITY_##id] = {word, sizeof(word) - 1},
    IDENTITY_TYPE_MAP(IDENTITY_WORD)
#undef IDENTITY_WORD
};

enum letter {
    LETTER_REFUSED,
    LETTER_INSIDE, /* not as the first of a name */
    LETTER_ANYWHERE
};

static enum letter
letter_of(char byte)
{
    /* clang-format off */
    static const uint8_t letters[256] = {
        ['A'] = 2, ['B'] = 2, ['C'] = 2, ['D'] = 2, ['E'] = 2, ['F'] = 2, ['G'] = 2, ['H'] = 2, ['I'] = 2,
        ['J'] = 2, ['K'] = 2, ['L'] = 2, ['M'] = 2, ['N'] = 2, ['O'] = 2, ['P'] = 2, ['Q'] = 2, ['R'] = 2,
        ['S'] = 2, ['T'] = 2, ['U'] = 2, ['V'] = 2, ['W'] = 2, ['X'] = 2, ['Y'] = 2, ['Z'] = 2,
        ['a'] = 2, ['b'] = 2, ['c'] = 2, ['d'] = 2, ['e'] = 2, ['f'] = 2, ['g'] = 2, ['h'] = 2, ['i'] = 2,
        ['j'] = 2, ['k'] = 2, ['l'] = 2, ['m'] = 2, ['n'] = 2, ['o'] = 2, ['p'] = 2, ['q'] = 2, ['r'] = 2,
        ['s'] = 2, ['t'] = 2, ['u'] = 2, ['v'] = 2, ['w'] = 2, ['x'] = 2, ['y'] = 2, ['z'] = 2,
        ['0'] = 2, ['1'] = 2, ['2'] = 2, ['3'] = 2, ['4'] = 2, ['5'] = 2, ['6'] = 2, ['7'] = 2, ['8'] = 2,
        ['9'] = 2, ['.'] = 1, ['_'] = 1, ['-'] = 1, [':'] = 1, ['@'] = 1, ['/'] = 1};
    /* clang-format on */
    return (enum letter)letters[(uint8_t)byte];
}

/* NULL when the name is good, else what is wrong with it. */
static const char *
complaint_about(struct text name)
{
    if (name.size == 0)
        return "its name is empty";
    if (name.size > IDENTITY_NAME_MAX)
        return "its name is longer than 128 bytes";
    if (letter_of(name.data[0]) != LETTER_ANYWHERE)
        return "its name must begin with a letter or a digit";

    /* Two identities of every record come through here: no branch per byte. */
    bool refused = false, dots = false, after_dot = false;
    for (size_t i = 0; i < name.size; i++) {
        bool is_dot = name.data[i] == '.';
        refused |= letter_of(name.data[i]) == LETTER_REFUSED;
        dots |= is_dot & after_dot;
        after_dot = is_dot;
    }
    if (refused)
        return "its name may hold only A-Z a-z 0-9 . _ - : @ /";
    if (dots)
        return "its name may not hold \"..\"";
    return NULL;
}

static enum status
refuse(struct error *error, struct text text, const char *complaint)
{
    char quoted[QUOTED_MAX + 1];
    error_copy_text(quoted, sizeof quoted, text);
    error_set(error, "identity \"%s%s\": %s", quoted, text.size > QUOTED_MAX ? "..." : "",
              complaint);
    return STATUS_VALIDATION;
}

enum status
identity_parse(struct text text, struct identity *identity, struct error *error)
{
    for (int type = 0; type < IDENTITY_TYPES; type++) {
        struct text word = type_words[type];
        if (text.size <= word.size || text.data[word.size] != ':' || text.data[0] != word.data[0] ||
            memcmp(text.data, word.data, word.size) != 0)
            continue;

        struct text name = {text.data + word.size + 1, text.size - word.size - 1};
        const char *complaint = complaint_about(name);
        if (complaint)
            return refuse(error, text, complaint);
        *identity = (struct identity){(enum identity_type)type, name};
        return STATUS_OK;
    }
    return refuse(error, text,
                  "expected <type>:<name>, type one of agent service user system guild squad");
}

bool
identity_is_service(struct text id, const char *service)
{
    static const char prefix[] = "service:";
    size_t size = sizeof prefix - 1;
    return text_starts_with(id, prefix) &&
           text_equal_string((struct text){id.data + size, id.size - size}, service);
}

void
identity_fingerprint(struct text id, struct bytes public_key,
                     char text[static FINGERPRINT_TEXT_SIZE])
{
    enum {
        TAIL = 1 + 8 + 1 /* '@', digits, NUL */
    };
    uint8_t digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, public_key.data, public_key.size);

    size_t size = id.size > FINGERPRINT_TEXT_SIZE - TAIL ? FINGERPRINT_TEXT_SIZE - TAIL : id.size;
    if (size > 0)
        memcpy(text, id.data, size);
    snprintf(text + size, TAIL, "@%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
}

void
identity_anonymous(const uint8_t key[static 32], char id[static IDENTITY_ANONYMOUS_SIZE])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[17];
    crypto_hash_sha256(hash, key, 32);
    sodium_bin2hex(hex, sizeof hex, hash, 8);
    snprintf(id, IDENTITY_ANONYMOUS_SIZE, IDENTITY_ANONYMOUS "%s", hex);
}

bool
identity_is_anonymous(struct text id)
{
    return text_starts_with(id, IDENTITY_ANONYMOUS);
}
