/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/mail_link.h"

enum {
    TURN_OPS = 1024,      /* taken at once */
    OPS_MAX = 16384,      /* questions and answers under way */
    BYTES_MAX = 64 << 20, /* their bytes */
};

enum status
mail_link_open(struct mail_link *link, const struct broker_options *options, struct error *error)
{
    const struct config *config = options->config;
    if (!options->mail_folder || !config)
        return STATUS_OK;
    const struct mail_thread_options mail = {
        .folder = options->mail_folder,
        .limits = {.inbox_max = config_uint(config, OPTION_MAIL_INBOX_MAX),
                   .inbox_bytes_max = config_uint(config, OPTION_MAIL_INBOX_BYTES_MAX),
                   .sender_max = config_uint(config, OPTION_MAIL_SENDER_MAX),
                   .sender_bytes_max = config_uint(config, OPTION_MAIL_SENDER_BYTES_MAX),
                   .dedup_ms = config_uint(config, OPTION_MAIL_DEDUP_MS),
                   .dedup_max = config_uint(config, OPTION_MAIL_DEDUP_MAX)},
        .disk_reserve = config_uint(config, OPTION_DISK_RESERVE),
        .ops_max = OPS_MAX,
        .bytes_max = BYTES_MAX,
        .clock = options->clock,
        .logger = options->logger,
    };
    return mail_thread_start(&link->thread, &mail, error);
}

void
mail_link_close(struct mail_link *link)
{
    mail_thread_stop(&link->thread);
}

bool
mail_link_add_figures(struct mail_link *link, struct metrics *metrics)
{
    static const char *const none[] = {NULL};
    struct metric_family *expired =
        metrics_family(metrics, METRIC_COUNTER, "sos_mail_expired_total",
                       "Messages that nobody took within their time", NULL);
    struct metric_family *commits = metrics_family(
        metrics, METRIC_COUNTER, "sos_mail_commits_total", "Batches of the mailbox", NULL);
    struct metric_family *inboxes = metrics_family(metrics, METRIC_GAUGE, "sos_mail_inboxes",
                                                   "Inboxes that the mailbox remembers", NULL);
    if (!expired || !commits || !inboxes)
        return false;
    link->expired = metric_series(expired, none);
    link->commits = metric_series(commits, none);
    link->inboxes = metric_series(inboxes, none);
    return true;
}

int
mail_link_fd(const struct mail_link *link)
{
    return link->thread ? mail_thread_fd(link->thread) : -1;
}

static void
show(struct mail_link *link, struct core *core, struct now now)
{
    static const enum core_mail_health healths[] = {[MAIL_HEALTH_OK] = CORE_MAIL_OK,
                                                    [MAIL_HEALTH_FULL] = CORE_MAIL_FULL,
                                                    [MAIL_HEALTH_FAILED] = CORE_MAIL_FAILED};
    struct mail_thread_figures before = link->shown;
    struct mail_thread_figures figures = mail_thread_figures(link->thread);
    link->shown = figures;
    metric_add(link->expired, figures.expired - before.expired);
    metric_add(link->commits, figures.commits - before.commits);
    metric_set(link->inboxes, (double)figures.inboxes);
    if (figures.health != before.health)
        core_mail_is(core, healths[figures.health], now);
}

void
mail_link_take(struct mail_link *link, struct core *core, struct now now)
{
    struct mail_op *op;
    int count = 0;
    while (count < TURN_OPS && (op = mail_thread_take(link->thread)) != NULL) {
        core_mail_done(core, &op, now);
        count++;
    }
    link->more = count == TURN_OPS;
    show(link, core, now);
}
