/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker answers to every vector of tests/vectors, which an independent encoder wrote. */
#include <jansson.h>
#include <stdlib.h>

#include "fixture_mail.h"

enum { ANSWERS_MAX = 64 };

struct answer {
    const char *to; /* who got it */
    const char *kind;
    struct message message; /* views into an outbox */
    bool matched;
};

static json_t *
load(const char *name)
{
    char path[] = __FILE__;
    char *tests = strstr(path, "unit/broker/core/test_vectors.c");
    assert_non_null(tests);
    *tests = '\0';

    struct buffer file;
    json_error_t error;
    buffer_init(&file);
    buffer_append_format(&file, "%svectors/%s", path, name);
    buffer_append_byte(&file, 0);
    json_t *vectors = json_load_file((const char *)file.data, 0, &error);
    buffer_clear(&file);
    if (!vectors)
        fail_msg("%s:%d: %s", error.source, error.line, error.text);
    return vectors;
}

static const char *
text_in(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static void
append_hex(struct buffer *out, const char *hex)
{
    char digits[3] = {0};
    assert_non_null(hex);
    for (; *hex; hex += 2) {
        memcpy(digits, hex, 2);
        buffer_append_byte(out, (uint8_t)strtoul(digits, NULL, 16));
    }
}

static bool
bytes_are(struct bytes bytes, const char *hex)
{
    struct buffer wanted;
    buffer_init(&wanted);
    append_hex(&wanted, hex);
    bool same = wanted.size == bytes.size &&
                (bytes.size == 0 || memcmp(wanted.data, bytes.data, bytes.size) == 0);
    buffer_clear(&wanted);
    return same;
}

static bool
id_is(const struct uuid *id, const json_t *wanted)
{
    if (json_is_null(wanted))
        return uuid_is_nil(id);
    return bytes_are((struct bytes){id->bytes, sizeof id->bytes}, json_string_value(wanted));
}

static bool
word_is(const struct message *message, const char *wanted)
{
    struct value payload;
    struct text word = {NULL, 0};
    return value_parse(message->payload, &payload) && value_find_text(&payload, "detail", &word) &&
           text_equal_string(word, wanted);
}

static bool
seq_is(uint64_t seq, const json_t *wanted)
{
    return json_is_string(wanted) ? seq > 0 : seq == (uint64_t)json_integer_value(wanted);
}

static bool
member_is(const struct message *message, const char *name, const json_t *wanted)
{
    const char *text = json_string_value(wanted);
    if (strcmp(name, "kind") == 0)
        return strcmp(kind_word(message->kind), text) == 0;
    if (strcmp(name, "correlation") == 0)
        return id_is(&message->correlation, wanted);
    if (strcmp(name, "id") == 0)
        return id_is(&message->id, wanted);
    if (strcmp(name, "status") == 0)
        return message->status == (uint32_t)json_integer_value(wanted);
    if (strcmp(name, "word") == 0)
        return word_is(message, text);
    if (strcmp(name, "type") == 0)
        return text_equal_string(message->type, text);
    if (strcmp(name, "source") == 0)
        return text_equal_string(message->source, text);
    if (strcmp(name, "target") == 0)
        return text_equal_string(message->target, text);
    if (strcmp(name, "seq") == 0)
        return seq_is(message->seq, wanted);
    if (strcmp(name, "attempt") == 0)
        return message->attempt == (uint32_t)json_integer_value(wanted);
    if (strcmp(name, "payload") == 0)
        return bytes_are(message->payload, text);
    fail_msg("kinds.json: %s: no such member", name);
    return false;
}

/* The first member in which they differ; NULL when in none. */
static const char *
difference(const struct answer *answer, json_t *wanted, const char *from)
{
    const char *name, *to = text_in(wanted, "to");
    json_t *member;
    if (strcmp(answer->to, to ? to : from) != 0)
        return "to";
    json_object_foreach(wanted, name, member)
    {
        if (strcmp(name, "to") != 0 && !member_is(&answer->message, name, member))
            return name;
    }
    return NULL;
}

/* ---- a vector */

static peer_number
peer_of(struct fixture *f, const char *identity, bool greeted)
{
    for (peer_number peer = 1; peer < PEERS; peer++) {
        if (f->identities[peer] && strcmp(f->identities[peer], identity) == 0)
            return peer;
        if (!f->identities[peer]) {
            join(f, peer, identity, 0);
            if (greeted)
                greet(f, peer);
            return peer;
        }
    }
    fail_msg("kinds.json: more than %d peers", PEERS - 1);
    return 0;
}

static size_t
take_answers(struct fixture *f, struct answer answers[static ANSWERS_MAX])
{
    size_t count = 0;
    for (peer_number peer = 1; peer < PEERS && f->identities[peer]; peer++) {
        while (!has_nothing(f, peer)) {
            assert_true(count < ANSWERS_MAX);
            answers[count] = (struct answer){.to = f->identities[peer], .message = *take(f, peer)};
            count++;
        }
    }
    return count;
}

/* Every difference is printed: false when there was one. */
static bool
check_step(struct fixture *f, const char *name, size_t number, json_t *step, bool greeted)
{
    const char *from = text_in(step, "from");
    peer_number peer = peer_of(f, from, greeted);
    buffer_reset(&f->frame);
    append_hex(&f->frame, text_in(step, "hex"));
    deliver(f, peer);
    mail_settle(f);

    struct answer answers[ANSWERS_MAX];
    size_t count = take_answers(f, answers);
    bool good = true;
    size_t i;
    json_t *wanted, *all = json_object_get(step, "answers");
    json_array_foreach(all, i, wanted)
    {
        const char *why = "there is none";
        for (size_t at = 0; at < count && why; at++) {
            if (answers[at].matched)
                continue;
            why = difference(&answers[at], wanted, from);
            answers[at].matched = !why;
        }
        if (why) {
            print_error("\"%s\", step %zu: no such %s came: %s\n", name, number,
                        text_in(wanted, "kind"), why);
            good = false;
        }
    }
    for (size_t at = 0; at < count; at++) {
        if (answers[at].matched)
            continue;
        struct error error = ERROR_INIT;
        error_unpack(answers[at].message.payload, &error);
        print_error("\"%s\", step %zu: came %s, type %.*s, status %u %s %s, to %s\n", name, number,
                    kind_word(answers[at].message.kind), TEXT_ARGS(answers[at].message.type),
                    answers[at].message.status, error.word, error.message, answers[at].to);
        good = false;
    }
    return good;
}

static void
every_kind_is_answered_as_the_protocol_says(void **state)
{
    (void)state;
    json_t *vector, *step, *vectors = load("kinds.json");
    size_t i, number;
    bool good = true;
    json_array_foreach(vectors, i, vector)
    {
        void *fixture = NULL;
        fixture_mail_setup(&fixture);
        bool greeted = json_is_true(json_object_get(vector, "greeted"));
        json_t *steps = json_object_get(vector, "steps");
        json_array_foreach(steps, number, step)
        {
            /* Who speaks later is there from the beginning. */
            peer_of(fixture, text_in(step, "from"), greeted);
        }
        json_array_foreach(steps, number, step)
        {
            good &= check_step(fixture, text_in(vector, "name"), number + 1, step, greeted);
        }
        fixture_teardown(&fixture);
    }
    assert_true(good);
    assert_true(json_array_size(vectors) > 100);
    json_decref(vectors);
}

/* ---- records that are none */

static void
what_is_no_record_is_refused_or_cuts_and_harms_nobody(void **state)
{
    (void)state;
    json_t *vector, *vectors = load("records.json");
    size_t i, bad = 0;
    json_array_foreach(vectors, i, vector)
    {
        const char *name = text_in(vector, "name");
        bool good = json_is_true(json_object_get(vector, "valid"));
        json_int_t used = json_integer_value(json_object_get(vector, "used"));
        void *fixture = NULL;
        fixture_mail_setup(&fixture);
        struct fixture *f = fixture;
        join_greeted(f, 1, "agent:kasra");
        join_greeted(f, 2, "agent:athena");
        buffer_reset(&f->frame);
        append_hex(&f->frame, text_in(vector, "hex"));
        for (json_int_t zeros = json_integer_value(json_object_get(vector, "zeros")); zeros > 0;
             zeros--)
            buffer_append_byte(&f->frame, 0);
        size_t size = f->frame.size;
        if (size > 0)
            deliver(f, 1);
        mail_settle(f);

        /* A broken length, also behind the record, loses the rest of the frame and the peer. */
        if (!good && used == 0 && size > 0 && !was_cut(f, 1))
            fail_msg("\"%s\": not cut", name);
        if (!good && used > 0 && !was_cut(f, 1)) {
            if (has_nothing(f, 1))
                fail_msg("\"%s\": not answered", name);
            if (take(f, 1)->kind != KIND_ERROR || f->received.status == STATUS_OK)
                fail_msg("\"%s\": answered by %s", name, kind_word(f->received.kind));
        }
        if (!good && (size_t)used == size && size > 0)
            assert_false(was_cut(f, 1));
        assert_true(has_nothing(f, 2));
        assert_false(was_cut(f, 2));
        bad += !good;
        fixture_teardown(&fixture);
    }
    assert_true(bad > 100);
    json_decref(vectors);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_answered_as_the_protocol_says),
        cmocka_unit_test(what_is_no_record_is_refused_or_cuts_and_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
