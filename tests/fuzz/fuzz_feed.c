/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket from its client's bytes to calls on the bus and back: the client sends frames and
 * messages, the bus any answers, in any order. What is said is UTF-8 and one JSON object each;
 * what is held stays within its bounds; nothing is left behind. */
#include <stdlib.h>

#include "contracts/bus.h"
#include "gateway/session/feed.h"
#include "gateway/websocket.h"
#include "kernel/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 256, MESSAGE_MAX = 4096 };

struct asked {
    struct peer_request request;
    struct uuid id;
    bool over;
};

struct world {
    struct exchanges *exchanges;
    struct json_parser *parser, *reader;
    struct feed *feed;
    struct websocket *websocket;
    struct bytes in; /* of the client, not read yet */
    size_t room;     /* that the client has for what is written */
    struct asked asked[CALLS_MAX];
    size_t count;
    bool ended;
};

static enum status
call(void *context, const struct peer_request *request, struct uuid *id, struct error *error)
{
    struct world *world = context;
    struct value value;
    (void)error;
    if (request->payload.size > 0 && !value_parse(request->payload, &value))
        abort();
    if (world->count == CALLS_MAX)
        return STATUS_BUSY;
    struct asked *asked = &world->asked[world->count++];
    *asked = (struct asked){.request = *request};
    asked->id.bytes[0] = (uint8_t)world->count;
    asked->id.bytes[1] = (uint8_t)(world->count >> 8);
    *id = asked->id;
    return STATUS_OK;
}

static void
cancel(void *context, const struct uuid *id)
{
    struct world *world = context;
    size_t number = (size_t)(id->bytes[0] | id->bytes[1] << 8);
    if (number == 0 || number > world->count || world->asked[number - 1].over)
        abort();
    world->asked[number - 1].over = true;
}

static void
grant(void *context, const struct uuid *id, uint32_t chunks)
{
    (void)context;
    (void)id;
    if (chunks == 0)
        abort();
}

static ssize_t
read_bytes(void *context, void *out, size_t room)
{
    struct world *world = context;
    size_t taken = world->in.size < room ? world->in.size : room;
    if (taken == 0)
        return 0;
    memcpy(out, world->in.data, taken);
    world->in.data += taken;
    world->in.size -= taken;
    return (ssize_t)taken;
}

static ssize_t
write_bytes(void *context, const void *data, size_t size)
{
    struct world *world = context;
    size_t taken = size < world->room ? size : world->room;
    (void)data;
    world->room -= taken;
    return (ssize_t)taken;
}

static void
on_message(void *context, struct text message)
{
    struct world *world = context;
    if (message.size > MESSAGE_MAX || !text_is_utf8(message))
        abort();
    feed_receive(world->feed, message);
}

static bool
say(void *context, struct text message)
{
    struct world *world = context;
    struct buffer packed = {0};
    struct value value;
    /* A number beyond 64 bits may come from the bus as a double, and back as one. */
    if (!text_is_utf8(message) ||
        json_to_msgpack(world->reader, message, &packed, NULL) == STATUS_OK) {
        if (!value_parse(buffer_bytes(&packed), &value) || value.type != VALUE_MAP)
            abort();
    }
    buffer_clear(&packed);
    if (world->ended)
        abort();
    websocket_send(world->websocket, message);
    return true;
}

static void
end(void *context, unsigned code, const char *reason)
{
    struct world *world = context;
    if (world->ended)
        abort();
    world->ended = true;
    websocket_close(world->websocket, code, reason);
}

static struct asked *
open_call(struct world *world, uint8_t pick)
{
    for (size_t i = 0; i < world->count; i++) {
        struct asked *asked = &world->asked[(i + pick) % world->count];
        if (!asked->over)
            return asked;
    }
    return NULL;
}

static void
answer(struct world *world, uint8_t how, struct bytes payload)
{
    struct asked *asked = open_call(world, how >> 2);
    if (!asked)
        return;
    if ((how & 1) && asked->request.on_chunk) {
        struct message chunk = {.kind = KIND_CHUNK, .payload = payload};
        asked->request.on_chunk(asked->request.context, &chunk);
        return;
    }
    enum status status = how & 2 ? status_from_code(1000u + how) : STATUS_OK;
    asked->over = true;
    asked->request.on_reply(asked->request.context,
                            &(struct peer_answer){.status = status, .payload = payload});
}

static void
open_world(struct world *world, bool tap)
{
    static const uint8_t arguments[] = {0x81, 0xa8, 'c', 'h', 'a', 'n', 'n', 'e', 'l',
                                        's',  0xa7, 's', 'q', 'u', 'a', 'd', ':', 'x'};
    struct bus bus = {call, cancel, grant, NULL, world};
    world->exchanges = exchanges_new(&bus);
    world->parser = json_parser_new();
    world->reader = json_parser_new();
    world->websocket = websocket_new(
        &(struct websocket_options){read_bytes, write_bytes, on_message, world, MESSAGE_MAX});
    if (!world->exchanges || !world->parser || !world->reader || !world->websocket)
        abort();
    world->feed = feed_new(&(struct feed_options){
        .exchanges = world->exchanges,
        .parser = world->parser,
        .bus = &bus_contract,
        .operation = contract_operation(&bus_contract, text_of(tap ? "tap" : "bus_listen")),
        .principal = text_of("user:local"),
        .agent = text_of(tap ? "" : "agent:a"),
        .arguments = {arguments, sizeof arguments},
        .say = say,
        .end = end,
        .context = world,
    });
    if (!world->feed)
        abort();
    feed_begin(world->feed);
}

static void
step(struct world *world, uint8_t what, uint8_t how, struct bytes bytes)
{
    switch (what % 4) {
    case 0:
        world->in = bytes;
        while (world->in.size > 0 && websocket_wants_read(world->websocket))
            websocket_receive(world->websocket);
        if (websocket_held(world->websocket) > (1u << 24))
            abort();
        break;
    case 1:
        feed_receive(world->feed, (struct text){(const char *)bytes.data, bytes.size});
        break;
    case 2:
        answer(world, how, bytes);
        break;
    default:
        world->room = (size_t)how * 64;
        websocket_flush(world->websocket);
        if (!websocket_wants_write(world->websocket))
            feed_drained(world->feed);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    if (size == 0)
        return 0;
    world = (struct world){0};
    open_world(&world, data[0] & 1);
    for (size_t at = 1; at + 3 <= size;) {
        size_t wanted = data[at + 2];
        struct bytes bytes = {data + at + 3, size - at - 3};
        if (bytes.size > wanted)
            bytes.size = wanted;
        step(&world, data[at], data[at + 1], bytes);
        at += 3 + bytes.size;
    }
    feed_destroy(&world.feed);
    if (exchanges_count(world.exchanges) != 0)
        abort();
    exchanges_destroy(&world.exchanges);
    websocket_destroy(&world.websocket);
    json_parser_destroy(&world.parser);
    json_parser_destroy(&world.reader);
    return 0;
}
