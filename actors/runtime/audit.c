/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/audit.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/runtime/dispatch_core.h"
#include "kernel/capability.h"

enum { RETRY_US = 1000000, ENDED_MAX = 1024, DELETE_MAX = AUDIT_BACKLOG_MAX, DELETE_EARLY = 256 };

/* ---- rows */

static void
write_number(uint8_t *at, uint64_t number)
{
    for (int i = AUDIT_KEY_SIZE - 1; i >= 0; i--, number >>= 8)
        at[i] = (uint8_t)number;
}

static uint64_t
read_number(const uint8_t *at)
{
    uint64_t number = 0;
    for (int i = 0; i < AUDIT_KEY_SIZE; i++)
        number = number << 8 | at[i];
    return number;
}

struct audit_key
audit_key_of(uint64_t number)
{
    struct audit_key key;
    write_number(key.bytes, number);
    return key;
}

bool
audit_key_read(struct bytes key, uint64_t *number)
{
    if (key.size != AUDIT_KEY_SIZE)
        return false;
    *number = read_number(key.data);
    return true;
}

static struct bytes
bytes_of_key(const struct audit_key *key)
{
    return (struct bytes){key->bytes, sizeof key->bytes};
}

void
audit_forget_rows(struct dispatch *dispatch)
{
    struct audit_book *book = &dispatch->audit;
    book->oldest = book->newest = book->noted = 0;
}

enum status
audit_apply(struct dispatch *dispatch, struct bytes key, struct bytes value, bool deleted,
            struct error *error)
{
    struct audit_book *book = &dispatch->audit;
    uint64_t number;
    if (key.size == 0 && value.size == AUDIT_KEY_SIZE + AUDIT_HASH_SIZE) {
        book->noted = read_number(value.data);
        return STATUS_OK;
    }
    if (!audit_key_read(key, &number) || number == 0) {
        error_set(error, "an audit entry's key of %zu bytes is none", key.size);
        return STATUS_STORE_FAILED;
    }
    if (deleted) {
        if (number >= book->newest)
            book->oldest = book->newest = 0;
        else if (number >= book->oldest)
            book->oldest = number + 1;
    } else {
        if (book->newest == 0)
            book->oldest = number;
        if (number > book->newest)
            book->newest = number;
    }
    return STATUS_OK;
}

/* ---- entries */

void
audit_notes_clear(struct audit_notes *notes)
{
    struct audit_note *note;
    while ((note = TAILQ_FIRST(notes)) != NULL) {
        TAILQ_REMOVE(notes, note, link);
        buffer_clear(&note->members);
        free(note);
    }
}

static struct audit_note *
make_note(const struct context *context, const struct request *request, struct audit_entry entry)
{
    struct audit_note *note = calloc(1, sizeof *note);
    if (!note)
        return NULL;
    if (!entry.outcome)
        entry.outcome = "ok";
    if (request && text_is_empty(entry.actor))
        entry.actor = request->principal;
    if (request && entry.trace.size == 0)
        entry.trace = (struct bytes){request->trace.trace_id, sizeof request->trace.trace_id};
    note->tells_success = strcmp(entry.outcome, "ok") == 0;
    audit_format(&entry, context->now.wall_us, &note->members);
    if (note->members.failed) {
        buffer_clear(&note->members);
        free(note);
        return NULL;
    }
    return note;
}

static bool
keeps_entries(const struct context *context)
{
    return context->store || context->has_trail;
}

void
outcome_audit(struct outcome *outcome, const struct audit_entry *entry)
{
    if (!keeps_entries(outcome->context))
        return;
    if (outcome->note_count >= AUDIT_STEP_MAX) {
        outcome_fail(outcome, STATUS_INTERNAL, "one step recorded too many audit entries");
        return;
    }
    struct audit_note *note = make_note(outcome->context, outcome->request, *entry);
    if (!note) {
        outcome_fail(outcome, STATUS_NOMEM, status_text(STATUS_NOMEM));
        return;
    }
    TAILQ_INSERT_TAIL(&outcome->notes, note, link);
    outcome->note_count++;
}

/* What the trail tells of each operation that is flagged audited. status: of the request, with its
 * error if there is one. NULL when out of memory. */
static struct audit_note *
note_request(const struct dispatch *dispatch, const struct request *request, enum status status,
             const struct error *error)
{
    char outcome[sizeof "refused: " + sizeof error->word];
    char through[MESSAGE_NAME_MAX + sizeof "through "] = "";
    struct buffer resource;
    struct capability *capability = NULL;
    const struct operation *operation = request->operation;
    struct text source = text_of(request->origin.source);
    struct text subject = {0};

    buffer_init(&resource);
    bool is_valid = request->arguments.operation != NULL; /* else nothing says what it was about */
    if (is_valid)
        subject = rights_subject(request);
    if (is_valid && operation->capability_resource)
        contract_resource(operation, &request->arguments, &resource);
    if (!text_is_empty(request->capability))
        (void)capability_parse(&capability, request->capability, NULL);
    if (!text_equal(source, request->principal))
        snprintf(through, sizeof through, "through %.*s", TEXT_ARGS(source));
    snprintf(outcome, sizeof outcome, "%s%s", status == STATUS_OK ? "ok" : "refused: ",
             status == STATUS_OK               ? ""
             : error && error->word[0] != '\0' ? error->word
                                               : status_word(status));
    struct audit_note *note = NULL;
    if (!resource.failed)
        note = make_note(&dispatch->context, request,
                         (struct audit_entry){.event = operation->type,
                                              .subject = subject,
                                              .action = text_of(operation->capability_action),
                                              .resource = buffer_text(&resource),
                                              .capability_id = text_of(
                                                  capability ? capability_id(capability) : NULL),
                                              .outcome = outcome,
                                              .detail = text_of(through)});
    capability_destroy(&capability);
    buffer_clear(&resource);
    return note;
}

/* ---- steps */

bool
audit_covers(const struct dispatch *dispatch, const struct request *request)
{
    return request && (request->operation->flags & OPERATION_AUDITED) &&
           keeps_entries(&dispatch->context);
}

static enum status
refuse(struct error *error, const char *why)
{
    error_set_word(error, AUDIT_WORD, "the audit trail cannot be written: %s", why);
    return STATUS_STORE_FAILED;
}

static bool
has_room(const struct dispatch *dispatch, size_t more)
{
    const struct audit_book *book = &dispatch->audit;
    uint64_t done = book->is_open ? book->last.seq : book->newest ? book->oldest - 1 : book->noted;
    uint64_t waiting = book->next > done ? book->next - 1 - done : 0;
    return !book->has_trail || waiting + more <= AUDIT_BACKLOG_MAX;
}

enum status
audit_admit(const struct dispatch *dispatch, const struct request *request, struct error *error)
{
    const struct audit_book *book = &dispatch->audit;
    if (!audit_covers(dispatch, request))
        return STATUS_OK;
    if (dispatch->store_failed && dispatch->context.now.monotonic_us < dispatch->store_retry_us)
        return refuse(error, "a commit failed less than a second ago");
    if (book->has_trail && (!book->is_open || (book->is_failing && dispatch->context.store)))
        return refuse(error, "its file takes nothing at present");
    if (!has_room(dispatch, 1))
        return refuse(error, "too many entries wait for its file");
    return STATUS_OK;
}

static enum status
write_row(struct dispatch *dispatch, const struct audit_note *note)
{
    struct audit_key key = audit_key_of(dispatch->audit.next);
    enum status status = overlay_write(dispatch->context.overlay, STORE_PUT, STORE_SPACE_AUDIT,
                                       bytes_of_key(&key), buffer_bytes(&note->members));
    if (status == STATUS_OK)
        dispatch->audit.next++;
    return status;
}

/* All of them, or none. */
static enum status
write_notes(struct dispatch *dispatch, const struct audit_notes *notes, size_t count,
            struct error *error)
{
    size_t savepoint = overlay_count(dispatch->context.overlay);
    uint64_t first = dispatch->audit.next;
    enum status status = STATUS_OK;
    if (count > 0 && !has_room(dispatch, count))
        status = refuse(error, "too many entries wait for its file");
    const struct audit_note *note;
    TAILQ_FOREACH(note, notes, link)
    if (status == STATUS_OK)
        status = write_row(dispatch, note);
    if (status != STATUS_OK) {
        overlay_truncate(dispatch->context.overlay, savepoint);
        dispatch->audit.next = first;
    }
    return status;
}

static void
drop_success(struct outcome *outcome)
{
    struct audit_note *note = TAILQ_FIRST(&outcome->notes);
    while (note) {
        struct audit_note *next = TAILQ_NEXT(note, link);
        if (note->tells_success) {
            TAILQ_REMOVE(&outcome->notes, note, link);
            outcome->note_count--;
            buffer_clear(&note->members);
            free(note);
        }
        note = next;
    }
}

enum status
audit_settle(struct dispatch *dispatch, struct step *step, struct outcome *outcome,
             enum status status, struct error *error)
{
    const struct request *request = outcome->request;
    bool refused = status != STATUS_OK && status != STATUS_PENDING;
    if (refused)
        drop_success(outcome);
    if (status != STATUS_PENDING && audit_covers(dispatch, request)) {
        struct audit_note *note = note_request(dispatch, request, status, error);
        if (!note)
            return STATUS_NOMEM;
        TAILQ_INSERT_TAIL(&outcome->notes, note, link);
        outcome->note_count++;
    }
    enum status written = write_notes(dispatch, &outcome->notes, outcome->note_count, error);
    if (written != STATUS_OK)
        return written;
    step->is_audited = outcome->note_count > 0;
    return status;
}

/* ---- requests that end outside of any step */

static void
queue_note(struct dispatch *dispatch, struct audit_note *note)
{
    struct audit_book *book = &dispatch->audit;
    if (!note || book->ended_count >= ENDED_MAX) {
        if (note) {
            buffer_clear(&note->members);
            free(note);
        }
        book->lost++;
        return;
    }
    TAILQ_INSERT_TAIL(&book->ended, note, link);
    book->ended_count++;
}

void
audit_note_end(struct dispatch *dispatch, const struct request *request, enum status status,
               const struct error *error)
{
    if (audit_covers(dispatch, request))
        queue_note(dispatch, note_request(dispatch, request, status, error));
}

void
audit_take_notes(struct dispatch *dispatch, struct outcome *outcome, bool succeeded)
{
    struct audit_note *note;
    if (!succeeded)
        drop_success(outcome);
    while ((note = TAILQ_FIRST(&outcome->notes)) != NULL) {
        TAILQ_REMOVE(&outcome->notes, note, link);
        queue_note(dispatch, note);
    }
    outcome->note_count = 0;
}

static void
write_ended(struct dispatch *dispatch)
{
    struct audit_book *book = &dispatch->audit;
    struct error error = ERROR_INIT;
    if (write_notes(dispatch, &book->ended, book->ended_count, &error) != STATUS_OK)
        book->lost += book->ended_count;
    if (book->lost > 0)
        log_error(dispatch->context.logger, "%zu audit entries of requests that ended are lost",
                  book->lost);
    book->lost = 0;
    audit_notes_clear(&book->ended);
    book->ended_count = 0;
}

/* ---- housekeeping */

static uint64_t
deletable(const struct dispatch *dispatch)
{
    const struct audit_book *book = &dispatch->audit;
    uint64_t last = book->last.seq < book->newest ? book->last.seq : book->newest;
    if (!book->has_trail || book->newest == 0 || last < book->oldest)
        return 0;
    uint64_t count = last - book->oldest + 1;
    return count < DELETE_MAX ? count : DELETE_MAX;
}

static void
delete_rows(struct dispatch *dispatch)
{
    const struct audit_book *book = &dispatch->audit;
    struct overlay *overlay = dispatch->context.overlay;
    uint8_t note[AUDIT_KEY_SIZE + AUDIT_HASH_SIZE];
    uint64_t count = deletable(dispatch);
    enum status status = STATUS_OK;
    if (count == 0)
        return;
    for (uint64_t i = 0; i < count && status == STATUS_OK; i++) {
        struct audit_key key = audit_key_of(book->oldest + i);
        status = overlay_write(overlay, STORE_DELETE, STORE_SPACE_AUDIT, bytes_of_key(&key),
                               (struct bytes){0});
    }
    write_number(note, book->last.seq);
    memcpy(note + AUDIT_KEY_SIZE, book->last.hash.bytes, AUDIT_HASH_SIZE);
    if (status == STATUS_OK)
        status = overlay_write(overlay, STORE_PUT, STORE_SPACE_AUDIT, (struct bytes){NULL, 0},
                               (struct bytes){note, sizeof note});
    if (status != STATUS_OK)
        log_error(dispatch->context.logger, "audit entries that were appended stay in the store");
}

void
audit_begin_batch(struct dispatch *dispatch)
{
    struct audit_book *book = &dispatch->audit;
    uint64_t last = book->newest > book->noted ? book->newest : book->noted;
    book->next = (last > book->last.seq ? last : book->last.seq) + 1;
}

bool
audit_has_chores(const struct dispatch *dispatch)
{
    if (dispatch->audit.ended_count > 0 || dispatch->audit.lost > 0)
        return true;
    /* Deleting alone is not worth a commit. */
    uint64_t rows = dispatch->context.store ? deletable(dispatch) : 0;
    return rows >= DELETE_EARLY || (rows > 0 && overlay_count(dispatch->context.overlay) > 0);
}

void
audit_do_chores(struct dispatch *dispatch)
{
    write_ended(dispatch);
    if (dispatch->context.store)
        delete_rows(dispatch);
}

/* ---- the file */

bool
audit_flush_is_due(const struct dispatch *dispatch)
{
    const struct audit_book *book = &dispatch->audit;
    return book->has_trail && (!book->is_open || book->is_failing) &&
           dispatch->context.now.monotonic_us >= book->retry_us;
}

void
audit_flush(struct dispatch *dispatch)
{
    dispatch->audit.is_flushing = true;
    dispatch->committing = true;
    store_batch_truncate(dispatch->slice, 0);
    dispatch->port.commit(dispatch->port.context, dispatch->slice);
}

void
audit_flushed(struct dispatch *dispatch)
{
    dispatch->audit.is_flushing = false;
    dispatch->committing = false;
}

void
dispatch_audited(struct dispatch *dispatch, const struct audit_report *report)
{
    struct audit_book *book = &dispatch->audit;
    const struct logger *logger = dispatch->context.logger;
    book->is_open = report->is_open;
    if (report->is_open)
        book->last = report->last;
    bool fails = report->status != STATUS_OK;
    if (fails && !book->is_failing)
        log_error(logger, "what is audited is refused: %s", report->error.message);
    else if (!fails && book->is_failing)
        log_info(logger, "the audit trail is written again");
    book->is_failing = fails;
    if (fails)
        book->retry_us = clock_now(dispatch->clock).monotonic_us + RETRY_US;
}
