/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/listen.h"

#include <stdlib.h>

#include "broker/core/channel.h"
#include "broker/core/grant.h"
#include "broker/core/mail.h"
#include "broker/core/mail_form.h"
#include "broker/core/pending.h"
#include "kernel/pack.h"

enum {
    CHANNELS_MAX = 64,
    CHUNK_SIZE = 48 * 1024,       /* of a chunk, unless one entry alone has more */
    EVENTS_SIZE_MAX = 256 * 1024, /* that wait for credit */
    ALL_SIZE_MAX = 64 * 1024 * 1024,
    SHARE_SIZE = 16 * 1024 /* of each when all together have too much */
};

/* An entry of a chunk, packed. */
struct entry {
    struct entry *next;
    size_t size;
    uint8_t bytes[];
};

struct queue {
    struct entry *first;
    struct entry *last;
    size_t size;
};

struct listen {
    struct list_node link;  /* in core->listens: something is to be sent */
    struct room_watch room; /* of the caller's pipe */
    struct timer end;
    struct request *request;
    struct subscriber *subscriber; /* NULL: no channels */
    struct consumer *consumer;     /* NULL: no mail */
    struct queue mail;
    struct queue events;
    uint64_t dropped; /* events, since the last chunk */
    bool has_begun;
    bool mail_waits;  /* a message was not taken */
    bool events_wait; /* an event was not taken */
};

/* ---- queues */

static bool
push(struct core *core, struct queue *queue, struct bytes bytes)
{
    struct entry *entry = malloc(sizeof *entry + bytes.size);
    if (!entry)
        return false;
    entry->next = NULL;
    entry->size = bytes.size;
    memcpy(entry->bytes, bytes.data, bytes.size);
    if (queue->last)
        queue->last->next = entry;
    else
        queue->first = entry;
    queue->last = entry;
    queue->size += bytes.size;
    core->listen_bytes += bytes.size;
    return true;
}

static void
pop(struct core *core, struct queue *queue)
{
    struct entry *entry = queue->first;
    queue->first = entry->next;
    if (!queue->first)
        queue->last = NULL;
    queue->size -= entry->size;
    core->listen_bytes -= entry->size;
    free(entry);
}

static void
clear(struct core *core, struct queue *queue)
{
    while (queue->first)
        pop(core, queue);
}

/* ---- gathering */

static void
make_due(struct core *core, struct listen *listen)
{
    if (!list_is_linked(&listen->link))
        list_append(&core->listens, &listen->link);
}

static bool
gather(struct core *core, struct listen *listen, struct queue *queue, struct buffer *form)
{
    bool taken = !form->failed && push(core, queue, buffer_bytes(form));
    buffer_clear(form);
    make_due(core, listen); /* also to try again what found no memory */
    return taken;
}

static enum core_sent
deliver_mail(struct core *core, void *context, const struct message *message)
{
    struct listen *listen = context;
    struct buffer form;
    bool has_room = listen->request->down.credit > 0 && !list_is_linked(&listen->room.link) &&
                    listen->mail.size < CHUNK_SIZE;
    if (has_room) {
        buffer_init(&form);
        mail_form_pack(&form, message, true);
        has_room = gather(core, listen, &listen->mail, &form);
    }
    listen->mail_waits = listen->mail_waits || !has_room;
    return has_room ? CORE_SENT : CORE_FULL;
}

static enum core_sent
deliver_event(struct core *core, void *context, const struct message *message, struct bytes record)
{
    struct listen *listen = context;
    size_t size_max = core->listen_bytes < ALL_SIZE_MAX ? EVENTS_SIZE_MAX : SHARE_SIZE;
    struct buffer form;
    bool has_room = listen->events.size == 0 || listen->events.size + record.size <= size_max;
    if (has_room) {
        buffer_init(&form);
        channel_pack_event(&form, message);
        has_room = gather(core, listen, &listen->events, &form);
    }
    listen->events_wait = listen->events_wait || !has_room;
    return has_room ? CORE_SENT : CORE_FULL;
}

/* ---- sending */

/* How many entries fit into the rest of a chunk. */
static uint32_t
count_fitting(const struct queue *queue, size_t *left, bool is_first)
{
    uint32_t count = 0;
    for (const struct entry *entry = queue->first; entry; entry = entry->next) {
        if (entry->size > *left && !(is_first && count == 0))
            break;
        *left -= entry->size < *left ? entry->size : *left;
        count++;
    }
    return count;
}

static void
pack_entries(struct buffer *out, const char *key, const struct queue *queue, uint32_t count)
{
    pack_string(out, key);
    pack_array(out, count);
    const struct entry *entry = queue->first;
    for (uint32_t i = 0; i < count; i++, entry = entry->next)
        pack_raw(out, (struct bytes){entry->bytes, entry->size});
}

static enum core_sent
send_chunk(struct core *core, struct listen *listen)
{
    struct buffer *out = &core->payload;
    size_t left = CHUNK_SIZE;
    uint32_t mail = count_fitting(&listen->mail, &left, true);
    uint32_t events = count_fitting(&listen->events, &left, mail == 0);
    buffer_reset(out);
    pack_map(out, 0u + (mail > 0) + (events > 0) + (listen->dropped > 0));
    if (mail > 0)
        pack_entries(out, "mail", &listen->mail, mail);
    if (events > 0)
        pack_entries(out, "events", &listen->events, events);
    if (listen->dropped > 0)
        pack_pair_uint(out, "dropped", listen->dropped);
    enum core_sent sent =
        out->failed ? CORE_FULL : bus_chunk(core, listen->request, buffer_bytes(out));
    if (sent != CORE_SENT)
        return sent;
    for (; mail > 0; mail--)
        pop(core, &listen->mail);
    for (; events > 0; events--)
        pop(core, &listen->events);
    listen->dropped = 0;
    listen->has_begun = true;
    return CORE_SENT;
}

static bool
has_something(const struct listen *listen)
{
    return listen->mail.first || listen->events.first || listen->dropped > 0 || !listen->has_begun;
}

/* Sends as far as there is credit. */
static void
send_all(struct core *core, struct listen *listen)
{
    struct request *request = listen->request;
    enum core_sent sent = CORE_SENT;
    while (sent == CORE_SENT && request->down.credit > 0 && has_something(listen))
        sent = send_chunk(core, listen);
    if (sent == CORE_FULL)
        outbound_watch(request->requester, &listen->room);
}

/* Takes what waited for room, when there is some: true when that brought something. */
static bool
take_waiting(struct core *core, struct listen *listen)
{
    const struct request *request = listen->request;
    if (request->down.credit == 0 || request->requester->doomed ||
        list_is_linked(&listen->room.link))
        return false;
    if (listen->mail_waits && listen->mail.size == 0) {
        listen->mail_waits = false;
        mail_resume(core, listen->consumer);
    }
    if (listen->events_wait && listen->events.size == 0) {
        listen->events_wait = false;
        listen->dropped += subscriber_resume(core, listen->subscriber);
    }
    return has_something(listen);
}

static void
go_on(struct core *core, struct listen *listen)
{
    do
        send_all(core, listen);
    while (take_waiting(core, listen));
}

void
listen_flush(struct core *core)
{
    while (!list_is_empty(&core->listens)) {
        struct listen *listen = CONTAINER_OF(core->listens.next, struct listen, link);
        go_on(core, listen);
        list_remove(&listen->link);
    }
}

static void
has_room(struct core *core, struct room_watch *watch)
{
    go_on(core, CONTAINER_OF(watch, struct listen, room));
}

static void
has_credit(struct core *core, struct request *request)
{
    make_due(core, request->work);
}

/* ---- starting and ending */

static void
release(struct core *core, struct listen *listen, bool tried)
{
    if (listen->consumer)
        mail_release(core, &listen->consumer, tried);
    subscriber_destroy(core, &listen->subscriber);
    timers_remove(&core->timers, &listen->end);
    room_watch_off(&listen->room);
    list_remove(&listen->link);
    clear(core, &listen->mail);
    clear(core, &listen->events);
    free(listen);
}

static void
ended(struct core *core, struct request *request)
{
    const struct peer *peer = request->requester;
    release(core, request->work, peer->doomed || !peer->greeted);
}

static bool
rests_on(const struct request *request, const struct ground_set *revoked)
{
    const struct listen *listen = request->work;
    return listen->subscriber && subscriber_rests_on(listen->subscriber, revoked);
}

static const struct request_work work_ops = {
    .ended = ended, .credited = has_credit, .rests_on = rests_on};

/* Its time is over: a stream without an end of its own ends well. */
static void
end(void *context, void *owner)
{
    static const uint8_t nothing[] = {0x80};
    struct core *core = context;
    struct listen *listen = owner;
    go_on(core, listen);
    bus_reply(core, listen->request, (struct bytes){nothing, sizeof nothing});
}

/* What stands below the agent's own name is the agent's, and so is who was let at its inbox. */
static bool
is_its_own(struct text agent, struct text channel)
{
    return channel.size > agent.size && channel.data[agent.size] == ':' &&
           memcmp(channel.data, agent.data, agent.size) == 0;
}

static enum status
check_channel(struct core *core, const struct bus_call *call, struct text channel, bool with_mail,
              struct error *error)
{
    const struct message *message = call->message;
    struct text agent = arguments_text(call->arguments, BUS_LISTEN_AGENT_ID);
    struct text principal = message->principal.size ? message->principal : message->source;
    bool is_itself = text_equal(message->source, agent) && text_equal(principal, agent);
    enum status status = channel_check_name(channel, true, error);
    if (status != STATUS_OK)
        return status;
    core->ground = (struct ground){.id = 0};
    if (is_its_own(agent, channel) && (with_mail || is_itself))
        return STATUS_OK;
    /* The token is one: with mail it was for the inbox. */
    struct claim claim = {.operation = &bus_contract.operations[OP_BUS_HISTORY],
                          .source = message->source,
                          .principal = principal,
                          .capability = with_mail ? (struct text){NULL, 0} : message->capability,
                          .resource = channel,
                          .subject = agent,
                          .is_pattern = glob_is_pattern(channel)};
    return grant_check(core, call->peer, &claim, error);
}

static struct text
next_channel(struct text *rest)
{
    const char *comma = memchr(rest->data, ',', rest->size);
    struct text channel = {rest->data, comma ? (size_t)(comma - rest->data) : rest->size};
    size_t used = channel.size + (comma != NULL);
    *rest = (struct text){rest->data + used, rest->size - used};
    return channel;
}

static enum status
add_channels(struct core *core, const struct bus_call *call, struct listen *listen, bool with_mail,
             struct error *error)
{
    struct text rest = arguments_text(call->arguments, BUS_LISTEN_CHANNELS);
    enum status status = STATUS_OK;
    uint64_t last;
    if (text_is_empty(rest))
        return STATUS_OK;
    listen->subscriber = subscriber_new(core, call->peer, deliver_event, listen);
    if (!listen->subscriber)
        return STATUS_NOMEM;
    while (rest.size > 0 && status == STATUS_OK) {
        struct text channel = next_channel(&rest);
        if (subscriber_count(listen->subscriber) >= CHANNELS_MAX) {
            error_set_word(error, "too_many_subscriptions", "a stream has at most %d channels",
                           CHANNELS_MAX);
            return STATUS_QUOTA_EXCEEDED;
        }
        status = check_channel(core, call, channel, with_mail, error);
        if (status == STATUS_OK)
            status = subscriber_add(core, listen->subscriber, channel, false, 0, &last, error);
    }
    return status;
}

static enum status
add_mail(struct core *core, const struct bus_call *call, struct listen *listen, bool watch,
         struct error *error)
{
    const struct arguments *arguments = call->arguments;
    struct consumer_options options = {
        .inbox = arguments_text(arguments, BUS_LISTEN_AGENT_ID),
        .window = (uint32_t)arguments_integer(arguments, BUS_LISTEN_WINDOW),
        .ack_ms = (uint32_t)arguments_integer(arguments, BUS_LISTEN_ACK_MS),
        .watch = watch,
        .peer = call->peer,
        .deliver = deliver_mail,
        .context = listen};
    enum status status = mail_check_inbox(options.inbox, error);
    return status == STATUS_OK ? mail_consume(core, &options, &listen->consumer, error) : status;
}

static enum status
start(struct core *core, const struct bus_call *call, struct listen *listen, struct error *error)
{
    struct text inbox = arguments_text(call->arguments, BUS_LISTEN_INBOX);
    bool with_mail = !text_equal_string(inbox, "none");
    enum status status = with_mail ? bus_check_rights(core, call, error) : STATUS_OK;
    struct ground ground = with_mail ? core->ground : (struct ground){.id = 0};
    if (status == STATUS_OK)
        status = add_channels(core, call, listen, with_mail, error);
    core->ground = ground; /* each channel has its own */
    if (status == STATUS_OK && with_mail)
        status = add_mail(core, call, listen, text_equal_string(inbox, "watch"), error);
    if (status != STATUS_OK)
        return status;
    struct request *request = bus_keep(core, call, &work_ops, listen);
    if (!request)
        return STATUS_NOMEM;
    timers_remove(&core->timers, &request->timer);
    listen->request = request;
    return STATUS_OK;
}

const char *
bus_listen(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct listen *listen = calloc(1, sizeof *listen);
    if (!listen)
        return bus_refuse(core, call, STATUS_NOMEM, NULL);
    listen->room.ready = has_room;
    timer_init(&listen->end, end, listen);
    enum status status = start(core, call, listen, &error);
    if (status != STATUS_OK) {
        release(core, listen, false);
        return bus_refuse(core, call, status, &error);
    }
    if (!timers_set(&core->timers, &listen->end, listen->request->deadline_us)) {
        bus_fail(core, listen->request, STATUS_NOMEM, NULL);
        return VERDICT_ANSWERED;
    }
    make_due(core, listen); /* its first chunk says that it hears from now on */
    return VERDICT_ACCEPTED;
}
