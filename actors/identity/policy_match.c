/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/policy_match.h"

#include "kernel/capability.h"

bool
policy_covers(struct text pattern, struct text asked)
{
    return glob_is_pattern(asked) ? glob_covers(pattern, asked) : glob_match(pattern, asked);
}

static bool
is_special(char character)
{
    return character == '*' || character == '?' || character == '[';
}

/* What stands before the first character that is no plain one, and behind the last. A set is taken
 * for anything at all, so its closing bracket ends the plain run as well. */
static struct text
head_of(struct text glob)
{
    size_t size = 0;
    while (size < glob.size && !is_special(glob.data[size]))
        size++;
    return (struct text){glob.data, size};
}

static struct text
tail_of(struct text glob)
{
    size_t at = glob.size;
    while (at > 0 && !is_special(glob.data[at - 1]) && glob.data[at - 1] != ']')
        at--;
    return (struct text){glob.data + at, glob.size - at};
}

static bool
heads_agree(struct text one, struct text other)
{
    size_t size = one.size < other.size ? one.size : other.size;
    return size == 0 || memcmp(one.data, other.data, size) == 0;
}

static bool
tails_agree(struct text one, struct text other)
{
    size_t size = one.size < other.size ? one.size : other.size;
    return size == 0 ||
           memcmp(one.data + one.size - size, other.data + other.size - size, size) == 0;
}

/* Two globs that have a '*' each meet exactly when their plain ends agree; '?' and sets are taken
 * for '*', which can only find too much. */
bool
policy_overlaps(struct text pattern, struct text asked)
{
    if (!glob_is_pattern(asked))
        return glob_match(pattern, asked);
    if (!glob_is_pattern(pattern))
        return glob_match(asked, pattern);
    return heads_agree(head_of(pattern), head_of(asked)) &&
           tails_agree(tail_of(pattern), tail_of(asked));
}
