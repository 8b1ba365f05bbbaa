/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/production.h"

#include <stdio.h>
#include <string.h>

#include "cli/home_files.h"
#include "cli/secret_scan.h"
#include "gateway/listen.h"

typedef void rule_fn(const struct production *production, enum finding_severity severity,
                     struct findings *findings);

enum { WHERE_SIZE = 320 };

/* "gateway.bind (from SOS_GATEWAY_BIND)" */
static const char *
place_of(const struct production *production, enum option_id option, char place[static WHERE_SIZE])
{
    snprintf(place, WHERE_SIZE, "%s (from %s)", option_key(option),
             config_origin(production->config, option));
    return place;
}

/* Off is what development is for. */
static void
check_capabilities(const struct production *production, enum finding_severity severity,
                   struct findings *findings)
{
    char place[WHERE_SIZE];
    if (!production_is_on(production->config) ||
        config_bool(production->config, OPTION_REQUIRE_CAPABILITIES))
        return;
    findings_add(findings, severity, place_of(production, OPTION_REQUIRE_CAPABILITIES, place),
                 "take the setting away: production requires capabilities",
                 "capabilities are switched off");
}

static void
check_bind(const struct production *production, enum finding_severity severity,
           struct findings *findings, enum option_id bind, enum option_id allow)
{
    char place[WHERE_SIZE];
    char fix[128];
    const char *address = config_string(production->config, bind);
    if (address_is_loopback(text_of(address)) || config_bool(production->config, allow))
        return;
    snprintf(fix, sizeof fix, "bind 127.0.0.1, or set %s=true if others are to reach it",
             option_key(allow));
    findings_add(findings, severity, place_of(production, bind, place), fix,
                 "binds %s, which others can reach, without %s", address, option_key(allow));
}

static void
check_binds(const struct production *production, enum finding_severity severity,
            struct findings *findings)
{
    check_bind(production, severity, findings, OPTION_GATEWAY_BIND, OPTION_GATEWAY_ALLOW_REMOTE);
    check_bind(production, severity, findings, OPTION_BROKER_BIND, OPTION_BROKER_ALLOW_REMOTE);
}

static void
check_tls(const struct production *production, enum finding_severity severity,
          struct findings *findings)
{
    char place[WHERE_SIZE];
    if (!config_bool(production->config, OPTION_GATEWAY_ALLOW_REMOTE) ||
        config_bool(production->config, OPTION_GATEWAY_TLS_PROXY))
        return;
    findings_add(findings, severity, place_of(production, OPTION_GATEWAY_ALLOW_REMOTE, place),
                 "put a proxy that speaks TLS in front of the doors, then set "
                 "gateway.tls_proxy=true; or take gateway.allow_remote away",
                 "the HTTP doors are open to others, and nothing says that TLS protects them");
}

static void
check_cors(const struct production *production, enum finding_severity severity,
           struct findings *findings)
{
    char place[WHERE_SIZE];
    if (!strchr(config_string(production->config, OPTION_CORS_ORIGINS), '*'))
        return;
    findings_add(findings, severity, place_of(production, OPTION_CORS_ORIGINS, place),
                 "name each origin: https://app.example.org",
                 "has a \"*\": it is meant to let every web page call");
}

static void
check_anonymous(const struct production *production, enum finding_severity severity,
                struct findings *findings)
{
    char place[WHERE_SIZE];
    if (!production_is_on(production->config) ||
        !config_bool(production->config, OPTION_BUS_ANONYMOUS))
        return;
    findings_add(findings, severity, place_of(production, OPTION_BUS_ANONYMOUS, place),
                 "take the setting away, and let agents in with sos agent new",
                 "unknown keys may connect");
}

static void
check_home(const struct production *production, enum finding_severity severity,
           struct findings *findings)
{
    struct home_files files = {production->home, production->user, severity};
    home_files_check(&files, findings, NULL);
    home_parents_check(&files, findings);
}

struct secret_finder {
    enum finding_severity severity;
    struct findings *findings;
};

static void
add_secret(void *context, const char *path, const struct secret_match *match)
{
    const struct secret_finder *finder = context;
    char place[PATH_SIZE + 32];
    snprintf(place, sizeof place, "%s:%zu", path, match->line);
    findings_add(finder->findings, finder->severity, place,
                 "give it by the environment or the secret store, take it out of the file, and "
                 "change it: it was readable",
                 "settings hold %s", match->kind);
}

static void
check_secrets(const struct production *production, enum finding_severity severity,
              struct findings *findings)
{
    struct secret_finder finder = {severity, findings};
    struct secret_scan scan = {.on_found = add_secret, .context = &finder};
    char path[PATH_SIZE];
    secret_scan_file(&scan, production->system_settings);
    if (paths_join(path, production->home, "config", NULL) == STATUS_OK)
        secret_scan_folder(&scan, path, "", true);
    if (scan.unreadable)
        findings_add(findings, severity, path, "make it readable for the user who runs sos",
                     "%zu files of settings cannot be read", scan.unreadable);
}

static void
check_user(const struct production *production, enum finding_severity severity,
           struct findings *findings)
{
    if (production->user != 0)
        return;
    /* A container of a developer runs it so every day. */
    severity = severity == FINDING_ERROR ? FINDING_WARNING : FINDING_NOTE;
    findings_add(findings, severity, "",
                 "run it as a user of its own, who owns the home and nothing else",
                 "sos runs as root: what breaks out of it owns the machine");
}

static rule_fn *const settings_rules[] = {check_capabilities, check_binds, check_tls, check_cors,
                                          check_anonymous,    check_user,  NULL};
static rule_fn *const file_rules[] = {check_home, check_secrets, NULL};

bool
production_is_on(const struct config *config)
{
    return strcmp(config_string(config, OPTION_ENV), "production") == 0;
}

static void
apply(rule_fn *const *rules, const struct production *production, struct findings *findings)
{
    enum finding_severity severity =
        production_is_on(production->config) ? FINDING_ERROR : FINDING_WARNING;
    for (size_t i = 0; rules[i]; i++)
        rules[i](production, severity, findings);
}

void
production_check_settings(const struct production *production, struct findings *findings)
{
    apply(settings_rules, production, findings);
}

void
production_check(const struct production *production, struct findings *findings)
{
    apply(settings_rules, production, findings);
    apply(file_rules, production, findings);
}
