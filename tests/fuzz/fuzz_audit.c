/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a line and as the end of an audit file; and as what an entry says: its line is good,
 * and with one bit turned it is not. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/audit.h"
#include "platform/audit_tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_good_line(struct text text, const struct audit_line *line)
{
    const char *begin = memchr(text.data, ',', text.size); /* before "prev" */
    const size_t prev_size = strlen(",\"prev\":\"\",") + 2 * AUDIT_HASH_SIZE;
    const size_t tail_size = strlen(",\"hash\":\"\"}") + 2 * AUDIT_HASH_SIZE;
    const char *members = begin + prev_size;
    struct text inner = {members, (size_t)(text.data + text.size - tail_size - members)};
    struct audit_link link = {.hash = line->prev};
    struct buffer again;
    buffer_init(&again);
    audit_chain(&link, line->link.seq, inner, &again);
    if (again.size != text.size + 1 || memcmp(again.data, text.data, text.size) != 0)
        abort();
    buffer_clear(&again);
}

static void
check_line(struct text text)
{
    struct audit_line line;
    if (audit_check(text, NULL, &line) != AUDIT_LINE_GOOD)
        return;
    check_good_line(text, &line);
}

static void
check_tail(const uint8_t *data, size_t size)
{
    struct audit_tail tail;
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("audit", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return;
    if (!audit_tail_read(fd, &tail) || tail.torn > size || tail.torn >= AUDIT_LINE_MAX)
        abort();
    if (tail.torn > 0 && memchr(data + size - tail.torn, '\n', tail.torn))
        abort();
    if (!tail.found && tail.link.seq != 0)
        abort();
}

static void
check_entry(const uint8_t *data, size_t size)
{
    struct audit_line line;
    struct buffer members, out;
    struct text words = {(const char *)data + 3, size - 3};
    struct audit_link link = {.seq = data[0]}, former = link;
    buffer_init(&members);
    buffer_init(&out);
    audit_format(&(struct audit_entry){.event = "x", .actor = words, .detail = words}, 1, &members);
    audit_chain(&link, (uint64_t)data[0] + 1, buffer_text(&members), &out);
    if (memchr(out.data, '\n', out.size) != out.data + out.size - 1)
        abort();
    out.size--;
    if (audit_check(buffer_text(&out), &former, &line) != AUDIT_LINE_GOOD)
        abort();
    check_tail(out.data, out.size);
    size_t place = ((size_t)data[1] << 8 | data[2]) % (8 * out.size);
    out.data[place / 8] ^= (uint8_t)(1u << place % 8);
    if (audit_check(buffer_text(&out), &former, &line) == AUDIT_LINE_GOOD)
        abort();
    buffer_clear(&members);
    buffer_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_line((struct text){(const char *)data, size});
    check_tail(data, size);
    if (size >= 3)
        check_entry(data, size);
    return 0;
}
