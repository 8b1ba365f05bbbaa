/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered here: those of a service come as requests, those of everybody else as
 * mail. The answer of a request is a parcel that the thread hands to the peer; the answer of a mail
 * is a message, and the mail is acknowledged when that is on disk. */
#include <stdlib.h>
#include <string.h>

#include "kernel/identity.h"
#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

enum {
    REQUESTS_DEFAULT = 64,
    REQUESTS_MAX = 65536,
    SERVE_TIMEOUT_MS = 10000,
    PARCEL_BYTES_MAX = 64 * 1024 * 1024,
    REPLY_SIZE_MAX = RECORD_SIZE_MAX - 2048 /* what its header may take */
};

struct sos_request {
    struct work work;
    struct link link; /* in serving.requests */
    struct sos *sos;
    struct sos_mail *mail; /* NULL: a request of the wire */
    struct peer_origin origin;
    bool cancelled;
    uint32_t credit;
    uint64_t parts;
    struct envelope *envelope; /* its own, or the mail's */
    struct envelope own;
    uint8_t storage[];
};

struct parcel {
    struct link link;
    struct peer_origin origin;
    bool part;
    uint64_t seq;
    enum status status;
    size_t size;
    uint8_t payload[];
};

struct serving {
    sos_request_fn *on_request;
    void *context;
    bool wanted;
    bool announced;
    enum status status;
    struct error error;
    char name[MESSAGE_NAME_MAX + 1];
    bool single;
    uint32_t requests_max;
    struct link requests; /* of the wire, not ended */
    size_t count;
    struct id_table by_id;
    struct link parcels;
    size_t parcel_bytes;
};

enum status
serving_init(struct sos *sos)
{
    struct serving *serving = calloc(1, sizeof *serving);
    if (!serving)
        return STATUS_NOMEM;
    link_init(&serving->requests);
    link_init(&serving->parcels);
    id_table_init(&serving->by_id);
    sos->serving = serving;
    return STATUS_OK;
}

/* ---- one request */

static void
request_free(struct sos_request *request)
{
    envelope_clear(&request->own);
    mail_free(&request->mail);
    client_release(request->sos);
    free(request);
}

/* Out of the tables; its holder frees it. */
static void
let_go(struct sos *sos, struct sos_request *request)
{
    struct serving *serving = sos->serving;
    if (!serving || request->mail || link_is_empty(&request->link))
        return;
    link_remove(&request->link);
    id_table_take(&serving->by_id, &request->origin.request_id);
    serving->count--;
}

static void
drop_parcels(struct serving *serving)
{
    while (!link_is_empty(&serving->parcels)) {
        struct parcel *parcel = LINK_ENTRY(serving->parcels.next, struct parcel, link);
        link_remove(&parcel->link);
        free(parcel);
    }
    serving->parcel_bytes = 0;
}

/* Nobody waits for the answers any more. Requests that no callback has seen go. */
void
serving_lost(struct sos *sos)
{
    struct serving *serving = sos->serving;
    drop_parcels(serving);
    while (!link_is_empty(&serving->requests)) {
        struct sos_request *request = LINK_ENTRY(serving->requests.next, struct sos_request, link);
        let_go(sos, request);
        request->cancelled = true;
        if (request->work.queued) {
            work_remove(sos, &request->work);
            request_free(request);
        } else {
            wait_wake(sos, request);
        }
    }
}

void
serving_clear(struct sos *sos)
{
    if (!sos->serving)
        return;
    serving_lost(sos);
    id_table_clear(&sos->serving->by_id);
    free(sos->serving);
    sos->serving = NULL;
}

static struct sos_request *
request_new(struct sos *sos, const struct message *message, struct sos_mail *mail)
{
    struct sos_request *request = malloc(sizeof *request + (mail ? 0 : envelope_size(message)));
    if (!request)
        return NULL;
    *request = (struct sos_request){.sos = sos, .mail = mail};
    link_init(&request->link);
    if (mail) {
        request->envelope = &mail->envelope;
    } else {
        envelope_fill(&request->own, message, request->storage);
        request->envelope = &request->own;
    }
    client_retain(sos);
    return request;
}

/* ---- requests of the wire */

static void
run_request(struct sos *sos, struct work *work)
{
    struct sos_request *request = LINK_ENTRY(work, struct sos_request, work);
    sos_request_fn *on_request = sos->serving->on_request;
    void *context = sos->serving->context;
    if (sos->closing) {
        let_go(sos, request);
        request_free(request);
        return;
    }
    client_unlock(sos);
    on_request(context, request);
    client_lock(sos);
}

static void
send_parcel(struct sos *sos, struct parcel *parcel)
{
    struct serving *serving = sos->serving;
    link_append(&parcel->link, &serving->parcels);
    serving->parcel_bytes += parcel->size;
    client_stir(sos);
}

static struct parcel *
parcel_new(const struct peer_origin *origin, enum status status, struct bytes payload)
{
    struct parcel *parcel = malloc(sizeof *parcel + payload.size);
    if (!parcel)
        return NULL;
    *parcel = (struct parcel){.origin = *origin, .status = status, .size = payload.size};
    if (payload.size)
        memcpy(parcel->payload, payload.data, payload.size);
    return parcel;
}

static void
refuse_unseen(struct sos *sos, const struct peer_origin *origin, enum status status,
              const char *why)
{
    struct error error;
    struct buffer payload;
    buffer_init(&payload);
    error_set(&error, "%s", why);
    error_pack(&payload, status, &error);
    struct parcel *parcel = parcel_new(origin, status, buffer_bytes(&payload));
    if (parcel)
        send_parcel(sos, parcel);
    buffer_clear(&payload);
}

static void
take_request(struct sos *sos, const struct message *message)
{
    struct serving *serving = sos->serving;
    struct peer_origin origin;
    peer_origin_of(&origin, message);
    if (serving->count >= serving->requests_max) {
        refuse_unseen(sos, &origin, STATUS_BUSY, "too many requests wait for this instance");
        return;
    }
    struct sos_request *request = request_new(sos, message, NULL);
    if (!request || !id_table_put(&serving->by_id, &origin.request_id, request)) {
        if (request)
            request_free(request);
        refuse_unseen(sos, &origin, STATUS_NOMEM, "out of memory");
        return;
    }
    request->origin = origin;
    request->credit = peer_stream_credit(sos->peer);
    serving->count++;
    link_append(&request->link, &serving->requests);
    request->work.run = run_request;
    work_add(sos, &request->work);
}

static void
cancel_request(struct sos *sos, const struct uuid *id)
{
    struct sos_request *request = id_table_get(&sos->serving->by_id, id);
    if (!request)
        return;
    request->cancelled = true;
    let_go(sos, request);
    if (request->work.queued) {
        work_remove(sos, &request->work);
        request_free(request);
    } else {
        wait_wake(sos, request);
    }
}

static void
add_credit(struct sos *sos, const struct message *message)
{
    struct sos_request *request = id_table_get(&sos->serving->by_id, &message->correlation);
    if (!request)
        return;
    uint32_t most = peer_stream_credit(sos->peer);
    uint64_t credit = request->credit + (message->seq > most ? most : message->seq);
    request->credit = credit > most ? most : (uint32_t)credit;
    wait_wake(sos, request);
}

void
serving_receive(struct sos *sos, const struct message *message)
{
    if (message->kind == KIND_REQUEST)
        take_request(sos, message);
    else if (message->kind == KIND_CANCEL)
        cancel_request(sos, &message->correlation);
    else if (message->kind == KIND_CONTROL)
        add_credit(sos, message);
}

void
serving_step(struct sos *sos)
{
    struct serving *serving = sos->serving;
    if (serving->wanted && !serving->announced) {
        struct peer_service service = {.name = serving->name,
                                       .single = serving->single,
                                       .requests_max = serving->requests_max};
        serving->announced = true;
        serving->status = peer_announce(sos->peer, &service, &serving->error);
        serving_ready(sos);
    }
    while (!link_is_empty(&serving->parcels)) {
        struct parcel *parcel = LINK_ENTRY(serving->parcels.next, struct parcel, link);
        struct bytes payload = {parcel->payload, parcel->size};
        struct error error = ERROR_INIT;
        enum status status =
            parcel->part
                ? peer_send_chunk(sos->peer, &parcel->origin, parcel->seq, false, payload, &error)
                : peer_reply(sos->peer, &parcel->origin, parcel->status, payload, &error);
        if (status == STATUS_BUSY || status == STATUS_NOMEM)
            return;
        if (status != STATUS_OK && status != STATUS_GONE)
            log_warn(&sos->logger, "an answer could not be sent: %s", error.message);
        link_remove(&parcel->link);
        serving->parcel_bytes -= parcel->size;
        free(parcel);
    }
}

/* ---- requests that come as mail */

static void
answered(struct sos *sos, struct outgoing *outgoing)
{
    struct sos_mail *mail = outgoing->owner;
    enum inbox_end how = outgoing->status == STATUS_OK ? INBOX_ACK : INBOX_NACK;
    const char *reason = outgoing->status == STATUS_OK ? NULL : "its answer could not be sent";
    if (inbox_end(sos, mail, how, reason, -1, NULL) != STATUS_OK)
        inbox_forget(sos, mail);
    outgoing_end(sos, &outgoing);
    mail_free(&mail);
}

static enum status
answer_mail(struct sos *sos, struct sos_request *request, enum status status, struct bytes payload,
            struct error *error)
{
    struct buffer metadata;
    buffer_init(&metadata);
    if (status != STATUS_OK)
        ask_pack_status(&metadata, status);
    struct mail_answer answer = {status == STATUS_OK ? "reply" : "error", payload,
                                 buffer_bytes(&metadata)};
    enum status result = mail_answer(sos, &request->mail->envelope.message, &answer, answered,
                                     request->mail, NULL, error);
    buffer_clear(&metadata);
    if (result == STATUS_OK)
        request->mail = NULL; /* the answer has it */
    return result;
}

static void
take_mail(void *context, struct sos_mail *mail)
{
    struct sos *sos = context;
    struct sos_request *request = request_new(sos, NULL, mail);
    if (!request) {
        sos_mail_release(&mail);
        return;
    }
    client_lock(sos);
    sos_request_fn *on_request = sos->serving->on_request;
    void *own_context = sos->serving->context;
    client_unlock(sos);
    on_request(own_context, request);
}

/* ---- beginning to serve */

void
serving_ready(struct sos *sos)
{
    wait_wake(sos, sos->serving);
}

static enum status
await_ready(struct sos *sos, struct error *error)
{
    struct serving *serving = sos->serving;
    uint64_t deadline_us = client_deadline_us(sos, SERVE_TIMEOUT_MS);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && !(serving->announced && sos->state == PEER_READY)) {
        if (serving->status != STATUS_OK) {
            *error = serving->error;
            return serving->status;
        }
        if (client_is_refused(sos, &status, error))
            return status;
        status = wait_for(sos, serving, deadline_us, error);
    }
    if (status == STATUS_TIMEOUT)
        error_set(error, "the broker has not agreed so far that this is an instance of %s",
                  serving->name);
    return status;
}

static enum status
serve(struct sos *sos, const struct sos_service *service, sos_request_fn *on_request, void *context,
      struct error *error)
{
    struct serving *serving = sos->serving;
    struct identity identity;
    if (!on_request) {
        error_set_field(error, "on_request", "missing");
        return STATUS_INVALID;
    }
    if (serving->on_request) {
        error_set(error, "this client serves already");
        return STATUS_CONFLICT;
    }
    serving->on_request = on_request;
    serving->context = context;
    if (identity_parse(text_of(sos->identity), &identity, NULL) != STATUS_OK ||
        identity.type != IDENTITY_SERVICE) {
        inbox_set_handler(sos, take_mail, sos);
        return STATUS_OK;
    }
    uint32_t most = service && service->requests_max ? service->requests_max : REQUESTS_DEFAULT;
    memcpy(serving->name, identity.name.data, identity.name.size);
    serving->single = service && service->single;
    serving->requests_max = most > REQUESTS_MAX ? REQUESTS_MAX : most;
    serving->wanted = true;
    client_stir(sos);
    return await_ready(sos, error);
}

int
sos_serve(struct sos *sos, const struct sos_service *service, sos_request_fn *on_request,
          void *context, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = serve(sos, service, on_request, context, &error);
    return client_leave(sos, entered, status, &error, told);
}

/* ---- the request's facts */

const struct sos_id *
sos_request_id(const struct sos_request *request)
{
    return (const struct sos_id *)(const void *)&request->envelope->message.id;
}

const char *
sos_request_from(const struct sos_request *request)
{
    return request->envelope->from;
}

const char *
sos_request_principal(const struct sos_request *request)
{
    return request->envelope->principal;
}

const char *
sos_request_type(const struct sos_request *request)
{
    return request->envelope->type;
}

const char *
sos_request_capability(const struct sos_request *request)
{
    return request->envelope->capability;
}

const char *
sos_request_trace(const struct sos_request *request)
{
    return request->envelope->trace;
}

struct sos_bytes
sos_request_payload(const struct sos_request *request)
{
    struct bytes payload = request->envelope->message.payload;
    return (struct sos_bytes){payload.data, payload.size};
}

const struct sos_map *
sos_request_map(struct sos_request *request)
{
    return envelope_map(request->envelope);
}

const char *
sos_request_text(struct sos_request *request)
{
    return envelope_text(request->envelope);
}

bool
sos_request_wants_stream(const struct sos_request *request)
{
    return !request->mail && (request->envelope->message.flags & MESSAGE_STREAM) != 0;
}

bool
sos_request_is_cancelled(const struct sos_request *request)
{
    if (!client_lock(request->sos))
        return true;
    bool cancelled = request->cancelled || request->sos->ended;
    client_unlock(request->sos);
    return cancelled;
}

/* ---- answering */

static enum status
answer(struct sos *sos, struct sos_request *request, enum status status, struct bytes payload,
       struct error *error)
{
    if (payload.size > REPLY_SIZE_MAX) {
        error_set(error, "the answer has %zu bytes, at most %d travel", payload.size,
                  REPLY_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    if (request->mail)
        return answer_mail(sos, request, status, payload, error);
    if (request->cancelled)
        return STATUS_OK; /* nobody is there to hear it */
    if (sos->serving->parcel_bytes + payload.size > PARCEL_BYTES_MAX) {
        error_set(error, "answers of %d bytes wait for the broker already", PARCEL_BYTES_MAX);
        return STATUS_BUSY;
    }
    struct parcel *parcel = parcel_new(&request->origin, status, payload);
    if (!parcel) {
        error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    send_parcel(sos, parcel);
    return STATUS_OK;
}

static int
end_request(struct sos_request **request_p, enum status status, struct bytes payload,
            struct sos_error *told)
{
    struct sos_request *request = *request_p;
    struct sos *sos = request->sos;
    struct error error = ERROR_INIT;
    if (!client_lock(sos)) {
        error_set_word(&error, "forked", "this request belongs to the parent process");
        return basic_fail(told, STATUS_CONFLICT, &error);
    }
    enum status result = STATUS_OK;
    if (!sos->ended)
        result = answer(sos, request, status, payload, &error);
    if (result == STATUS_OK)
        let_go(sos, request);
    client_unlock(sos);
    if (result != STATUS_OK)
        return basic_fail(told, result, &error);
    *request_p = NULL;
    request_free(request);
    return SOS_OK;
}

int
sos_reply(struct sos_request **request_p, struct sos_bytes result, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = basic_check_payload(result, &error);
    if (status != STATUS_OK)
        return basic_fail(told, status, &error);
    return end_request(request_p, STATUS_OK, (struct bytes){result.data, result.size}, told);
}

int
sos_refuse(struct sos_request **request_p, int status, const char *word, const char *message,
           struct sos_error *told)
{
    enum status given = status > 0 ? status_from_code((uint64_t)status) : STATUS_UNKNOWN;
    const char *text = message ? message : status_text(given);
    struct error error;
    if (word)
        error_set_word(&error, word, "%s", text);
    else
        error_set(&error, "%s", text);
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, given, &error);
    int result = end_request(request_p, given, buffer_bytes(&payload), told);
    buffer_clear(&payload);
    return result;
}

static enum status
check_part(const struct sos_request *request, struct sos_bytes part, struct error *error)
{
    enum status status = basic_check_payload(part, error);
    if (status == STATUS_OK && !sos_request_wants_stream(request)) {
        error_set(error, "this request wants one answer, not a stream");
        status = STATUS_CONFLICT;
    }
    if (status == STATUS_OK && part.size > CHUNK_SIZE_MAX) {
        error_set(error, "the part has %zu bytes, at most %d travel", part.size, CHUNK_SIZE_MAX);
        status = STATUS_TOO_LARGE;
    }
    return status;
}

int
sos_reply_part(struct sos_request *request, struct sos_bytes part, int timeout_ms,
               struct sos_error *told)
{
    struct sos *sos = request->sos;
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    uint64_t deadline_us = entered ? client_deadline_us(sos, timeout_ms) : 0;
    if (entered)
        status = check_part(request, part, &error);
    while (status == STATUS_OK && request->credit == 0 && !request->cancelled)
        status = wait_for(sos, request, deadline_us, &error);
    if (status == STATUS_TIMEOUT)
        error_set(&error, "the requester takes no more so far");
    if (status == STATUS_OK && request->cancelled) {
        error_set(&error, "nobody waits for the answer any more");
        status = STATUS_CANCELLED;
    }
    if (status == STATUS_OK) {
        struct parcel *parcel =
            parcel_new(&request->origin, STATUS_OK, (struct bytes){part.data, part.size});
        status = parcel ? STATUS_OK : STATUS_NOMEM;
        if (parcel) {
            parcel->part = true;
            parcel->seq = request->parts++;
            request->credit--;
            send_parcel(sos, parcel);
        }
    }
    return client_leave(sos, entered, status, &error, told);
}
