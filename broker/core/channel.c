/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/channel.h"

#include <stdlib.h>

#include "broker/core/answer.h"

struct channels {
    struct core *core;
};

struct channels *
channels_new(struct core *core)
{
    struct channels *channels = calloc(1, sizeof *channels);
    if (channels)
        channels->core = core;
    return channels;
}

void
channels_destroy(struct channels **channels_p)
{
    free(*channels_p);
    *channels_p = NULL;
}

void
channels_peer_gone(struct core *core, struct peer *peer)
{
    (void)core, (void)peer;
}

void
channel_say(struct core *core, struct text channel, struct text type, struct bytes payload)
{
    (void)core, (void)channel, (void)type, (void)payload;
}

const char *
publish_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
subscribe_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
unsubscribe_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_publish(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_history(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_channels(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}
