/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail.h"

#include <stdlib.h>

#include "broker/core/answer.h"

struct mail {
    struct core *core;
};

struct mail *
mail_new(struct core *core)
{
    struct mail *mail = calloc(1, sizeof *mail);
    if (mail)
        mail->core = core;
    return mail;
}

void
mail_destroy(struct mail **mail_p)
{
    free(*mail_p);
    *mail_p = NULL;
}

void
mail_done(struct core *core, struct mail_op **op_p)
{
    (void)core;
    mail_op_destroy(op_p);
}

void
mail_peer_gone(struct core *core, struct peer *peer)
{
    (void)core, (void)peer;
}

const char *
send_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
ack_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
nack_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
extend_receive(struct core *core, struct peer *peer, const struct message *message)
{
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_send(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_inbox(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_ack(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_nack(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_extend(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_mailboxes(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_dead_list(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_dead_get(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_dead_replay(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_dead_drop(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_join(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_leave(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_members(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_memory_push(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}

const char *
bus_memory_recall(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}
