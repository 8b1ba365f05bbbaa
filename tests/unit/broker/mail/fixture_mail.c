/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_mail.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/pack.h"

enum { TEXT_SIZE = 8192 };

int
fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->limits = (struct mailbox_limits){.inbox_max = 100,
                                              .inbox_bytes_max = 1 << 20,
                                              .sender_max = 200,
                                              .sender_bytes_max = 1 << 20,
                                              .dedup_ms = 120000,
                                              .dedup_max = 1024};
    fixture->now =
        (struct now){.monotonic_us = 1000u * SECOND_US, .wall_us = 1700000000ull * SECOND_US};
    if (store_open_memory(&fixture->store, MAILBOX_SCHEMA) != STATUS_OK)
        return -1;
    *state = fixture;
    reopen(fixture);
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    drop_arrived(fixture);
    mailbox_close(&fixture->mailbox);
    assert_null(fixture->mailbox);
    mailbox_close(&fixture->mailbox);
    store_close(&fixture->store);
    free(fixture);
    return 0;
}

void
reopen(struct fixture *fixture)
{
    mailbox_close(&fixture->mailbox);
    enum status status = mailbox_open(&fixture->mailbox, fixture->store, &fixture->limits,
                                      fixture->now, &fixture->error);
    if (status != STATUS_OK)
        print_error("mailbox_open: %s\n", fixture->error.message);
    assert_int_equal(status, STATUS_OK);
}

void
advance(struct fixture *fixture, uint64_t us)
{
    fixture->now.monotonic_us += us;
    fixture->now.wall_us += us;
}

struct bytes
bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* ---- questions */

static struct mail_op *
make(enum mail_op_type type, const char *name, const char *source, const char *record)
{
    struct mail_op *op = mail_op_new(type, text_of(name), text_of(source), text_of(""),
                                     record ? bytes_of(record) : (struct bytes){NULL, 0});
    assert_non_null(op);
    op->limit = 1000;
    op->bytes_max = 1 << 20;
    return op;
}

struct mail_op *
question(enum mail_op_type type, const char *name)
{
    return make(type, name, "", NULL);
}

struct mail_op *
send_to(const char *to, const char *from, unsigned id, const char *record)
{
    struct mail_op *op = make(MAIL_APPEND, to, from, record);
    memcpy(op->id.bytes, &id, sizeof id);
    return op;
}

struct mail_op *
send_to_squad(const char *squad, const char *from, unsigned id, const char *record)
{
    struct mail_op *op = send_to(squad, from, id, record);
    op->squad = true;
    return op;
}

struct mail_op *
numbered(enum mail_op_type type, const char *name, uint64_t seq)
{
    struct mail_op *op = make(type, name, "", NULL);
    op->seq = seq;
    return op;
}

struct mail_op *
member(enum mail_op_type type, const char *squad, const char *who)
{
    return make(type, squad, who, NULL);
}

void
run(struct fixture *fixture, struct mail_op *first, ...)
{
    va_list rest;
    struct mail_op **end = &first->next;
    va_start(rest, first);
    for (struct mail_op *op; (op = va_arg(rest, struct mail_op *)) != NULL; end = &op->next)
        *end = op;
    va_end(rest);
    *end = NULL;
    drop_arrived(fixture);
    mailbox_run(fixture->mailbox, first, &fixture->arrived, fixture->now);
}

enum status
ask(struct fixture *fixture, struct mail_op *op)
{
    run(fixture, op, NULL);
    enum status status = op->status;
    fixture->error = op->error;
    drop_op(op);
    return status;
}

uint64_t
done(struct fixture *fixture, struct mail_op *op)
{
    run(fixture, op, NULL);
    if (op->status != STATUS_OK)
        print_error("%s\n", op->error.message);
    assert_int_equal(op->status, STATUS_OK);
    uint64_t count = op->count;
    drop_op(op);
    return count;
}

uint64_t
sent(struct fixture *fixture, const char *to, const char *from, unsigned id, const char *record)
{
    struct mail_op *op = send_to(to, from, id, record);
    run(fixture, op, NULL);
    if (op->status != STATUS_OK)
        print_error("%s\n", op->error.message);
    assert_int_equal(op->status, STATUS_OK);
    assert_int_equal(op->count, 1);
    uint64_t number = op->seq;
    drop_op(op);
    return number;
}

void
drop_op(struct mail_op *op)
{
    mail_op_destroy(&op);
}

void
drop_arrived(struct fixture *fixture)
{
    while (fixture->arrived) {
        struct mail_op *next = fixture->arrived->next;
        mail_op_destroy(&fixture->arrived);
        fixture->arrived = next;
    }
}

size_t
arrived_count(const struct fixture *fixture)
{
    size_t count = 0;
    for (const struct mail_op *op = fixture->arrived; op; op = op->next)
        count++;
    return count;
}

/* ---- looking */

static const char *
rows_text(struct fixture *fixture, struct mail_op *op)
{
    static char text[TEXT_SIZE];
    int size = 0;
    struct mail_op *arrived = fixture->arrived;
    fixture->arrived = NULL; /* looking is no run */
    run(fixture, op, NULL);
    fixture->arrived = arrived;
    if (op->status != STATUS_OK)
        print_error("%s\n", op->error.message);
    assert_int_equal(op->status, STATUS_OK);
    text[0] = '\0';
    for (size_t i = 0; i < op->row_count; i++) {
        const struct mail_row *row = &op->rows[i];
        const char *reason = (const char *)op->out.data + row->offset;
        size += snprintf(text + size, (size_t)(TEXT_SIZE - size), "%s%llu:%.*s", i ? " " : "",
                         (unsigned long long)row->seq, (int)row->record_size,
                         reason + row->reason_size);
        if (row->attempts)
            size += snprintf(text + size, (size_t)(TEXT_SIZE - size), "/%u", row->attempts);
        if (op->type == MAIL_DEAD_READ)
            size += snprintf(text + size, (size_t)(TEXT_SIZE - size), "(%.*s)",
                             (int)row->reason_size, reason);
        assert_true(size < TEXT_SIZE);
    }
    drop_op(op);
    return text;
}

const char *
inbox_text(struct fixture *fixture, const char *inbox)
{
    return rows_text(fixture, question(MAIL_READ, inbox));
}

const char *
dead_text(struct fixture *fixture, const char *inbox)
{
    return rows_text(fixture, question(MAIL_DEAD_READ, inbox));
}

const char *
figures_text(struct fixture *fixture, const char *inbox)
{
    static const char *const names[] = {"waiting", "delayed", "dead", "bytes"};
    static char text[128];
    struct mail_op *op = question(MAIL_FIGURES, inbox);
    struct value head;
    struct value entry;
    run(fixture, op, NULL);
    assert_int_equal(op->status, STATUS_OK);
    assert_true(value_parse(buffer_bytes(&op->out), &head));
    text[0] = '\0';
    struct reader reader = reader_of(buffer_bytes(&op->out));
    assert_true(reader_next(&reader, &entry));
    if (entry.as.count == 1) {
        struct bytes rest = {reader.at, (size_t)(reader.end - reader.at)};
        uint64_t numbers[4] = {0};
        assert_true(value_parse(rest, &entry));
        for (size_t i = 0; i < 4; i++)
            assert_true(value_find_uint(&entry, names[i], &numbers[i]));
        snprintf(text, sizeof text, "%llu %llu %llu %llu", (unsigned long long)numbers[0],
                 (unsigned long long)numbers[1], (unsigned long long)numbers[2],
                 (unsigned long long)numbers[3]);
    }
    drop_op(op);
    return text;
}
