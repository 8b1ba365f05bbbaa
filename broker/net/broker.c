/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/broker.h"

#include <czmq.h>

#include "broker/net/keytable.h"
#include "broker/net/router.h"

struct broker {
    struct broker_options options; /* its pointers lead to the copies below, where copied */
    struct curve_keys keys;
    struct ed25519_public_key *capability_keys;
    char *bind;
    char *audit;
    char *mail_folder;
    char *revoked;
    struct keytable *key_table;
    zactor_t *actor;
    char endpoint[ROUTER_ENDPOINT_SIZE];
    /* Written by the thread before it signals that it runs, and before it ends. */
    enum status started;
    struct error error;
    bool failed;
};

/* The actor: its first signal says that `started` is decided. */
static void
run(zsock_t *pipe, void *argument)
{
    struct broker *broker = argument;
    struct router *router = NULL;
    broker->started = router_open(&router, &broker->options, broker->key_table, &broker->error);
    if (broker->started == STATUS_OK)
        snprintf(broker->endpoint, sizeof broker->endpoint, "%s", router_endpoint(router));
    zsock_signal(pipe, 0);
    if (broker->started != STATUS_OK)
        return;
    log_info(broker->options.logger, "the broker listens on %s", broker->endpoint);
    if (router_run(router, zsock_resolve(pipe), &broker->error) != STATUS_OK) {
        broker->failed = true;
        log_error(broker->options.logger, "the broker stops: %s", broker->error.message);
    }
    router_close(&router);
}

static enum status
copy_options(struct broker *broker, const struct broker_options *options)
{
    size_t count = options->capability_key_count;
    broker->options = *options;
    broker->keys = *options->keys;
    broker->options.keys = &broker->keys;
    broker->bind = strdup(options->bind);
    broker->options.bind = broker->bind;
    broker->capability_keys = calloc(count ? count : 1, sizeof *broker->capability_keys);
    broker->options.capability_keys = broker->capability_keys;
    broker->mail_folder = options->mail_folder ? strdup(options->mail_folder) : NULL;
    broker->options.mail_folder = broker->mail_folder;
    broker->audit = options->audit ? strdup(options->audit) : NULL;
    broker->options.audit = broker->audit;
    broker->revoked = options->revoked ? strdup(options->revoked) : NULL;
    broker->options.revoked = broker->revoked;
    if (options->mail_folder && !broker->mail_folder)
        return STATUS_NOMEM;
    if (options->revoked && !broker->revoked)
        return STATUS_NOMEM;
    if (!broker->bind || !broker->capability_keys || (options->audit && !broker->audit))
        return STATUS_NOMEM;
    if (count > 0)
        memcpy(broker->capability_keys, options->capability_keys,
               count * sizeof *broker->capability_keys);
    return STATUS_OK;
}

static enum status
check_options(const struct broker_options *options, struct error *error)
{
    if (!curve_key_is_valid(options->keys->secret_key)) {
        error_set(error, "the broker's secret key is not the Z85 text of 32 bytes");
        return STATUS_VALIDATION;
    }
    if (options->bind[0] == '\0' || strlen(options->bind) > 255) {
        error_set(error, "broker.bind: expected an address of 1 to 255 characters");
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

enum status
broker_start(struct broker **broker_p, const struct broker_options *options, struct error *error)
{
    enum status status = check_options(options, error);
    if (status != STATUS_OK)
        return status;
    struct broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return STATUS_NOMEM;
    status = copy_options(broker, options);
    if (status != STATUS_OK)
        goto fail;
    status = keytable_open(&broker->key_table, options->key_table, error);
    if (status != STATUS_OK)
        goto fail;
    broker->actor = zactor_new(run, broker);
    if (!broker->actor) {
        error_set(error, "the broker's thread could not be started");
        status = STATUS_INTERNAL;
        goto fail;
    }
    status = broker->started;
    if (status != STATUS_OK) {
        if (error)
            *error = broker->error;
        goto fail;
    }
    *broker_p = broker;
    return STATUS_OK;

fail:
    broker_stop(&broker);
    return status;
}

void
broker_stop(struct broker **broker_p)
{
    struct broker *broker = *broker_p;
    if (!broker)
        return;
    zactor_destroy(&broker->actor);
    keytable_close(&broker->key_table);
    curve_keys_clear(&broker->keys);
    free(broker->capability_keys);
    free(broker->bind);
    free(broker->audit);
    free(broker->mail_folder);
    free(broker->revoked);
    free(broker);
    *broker_p = NULL;
}

const char *
broker_endpoint(const struct broker *broker)
{
    return broker->endpoint;
}

void *
broker_pipe(struct broker *broker)
{
    return zsock_resolve(broker->actor);
}

const struct error *
broker_failure(const struct broker *broker)
{
    return broker->failed ? &broker->error : NULL;
}
