/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "cli/screen.h"
#include "kernel/json.h"

const struct doctor_check doctor_checks[] = {
    {"settings", doctor_check_settings},
    {"keys", doctor_check_keys},
    {"ports", doctor_check_ports},
    {"clock", doctor_check_clock},
    {"disk", doctor_check_disk},
    {"sync", doctor_check_sync},
    {"limits", doctor_check_limits},
    {"policies", doctor_check_policies},
    {"capabilities", doctor_check_capabilities},
    {"pairing", doctor_check_pairing},
    {"audit", doctor_check_audit},
    {"secrets", doctor_check_secrets},
    {"isolation", doctor_check_isolation},
    {"libraries", doctor_check_libraries},
    {NULL, NULL},
};

void
doctor_run(struct doctor *doctor)
{
    findings_init(&doctor->findings);
    doctor->began = clock_now(doctor->clock);
    for (const struct doctor_check *check = doctor_checks; check->name; check++) {
        doctor->findings.check = check->name;
        check->run(doctor);
    }
}

bool
doctor_is_content(const struct doctor *doctor)
{
    return doctor->findings.counts[FINDING_ERROR] == 0 && !doctor->findings.failed;
}

/* ---- for programs */

static void
append_member(struct buffer *out, const char *name, const char *text)
{
    buffer_append_format(out, ",\"%s\":", name);
    json_append_text(out, text_of(text));
}

static void
print_json(const struct doctor *doctor, struct buffer *out)
{
    const struct findings *findings = &doctor->findings;
    buffer_append_string(out, "{\"version\":\"" SOS_VERSION "\"");
    append_member(out, "home", doctor->home);
    append_member(out, "env", config_string(doctor->config, OPTION_ENV));
    buffer_append_format(out,
                         ",\"swarm_pid\":%ld,\"content\":%s,\"errors\":%zu,\"warnings\":%zu,"
                         "\"notes\":%zu,\"left_out\":%zu,\"findings\":[",
                         doctor->swarm_pid, doctor_is_content(doctor) ? "true" : "false",
                         findings->counts[FINDING_ERROR], findings->counts[FINDING_WARNING],
                         findings->counts[FINDING_NOTE], findings->left_out);
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *row = &findings->rows[i];
        buffer_append_format(out, "%s{\"check\":\"%s\",\"severity\":\"%s\"", i ? "," : "",
                             row->check, finding_severity_word(row->severity));
        append_member(out, "what", row->what);
        append_member(out, "where", row->where);
        append_member(out, "fix", row->fix);
        buffer_append_string(out, "}");
    }
    buffer_append_string(out, "]}\n");
}

/* ---- for people */

static void
append_clean(struct buffer *out, const char *text)
{
    print_clean(text_of(text), out);
}

static void
print_row(const struct screen *screen, const struct finding *row, struct buffer *out)
{
    static const enum screen_style styles[] = {
        [FINDING_OK] = STYLE_GREEN,
        [FINDING_NOTE] = STYLE_BLUE,
        [FINDING_WARNING] = STYLE_YELLOW,
        [FINDING_ERROR] = STYLE_RED,
    };
    screen_cell(screen, out, text_of(finding_severity_word(row->severity)), 8,
                styles[row->severity]);
    screen_cell(screen, out, text_of(row->check), 13, STYLE_PLAIN);
    if (row->where[0] && row->severity != FINDING_OK) {
        append_clean(out, row->where);
        buffer_append_string(out, ": ");
    }
    append_clean(out, row->what);
    buffer_append_string(out, "\n");
    if (row->fix[0]) {
        buffer_append_format(out, "%*sfix: ", 21, "");
        append_clean(out, row->fix);
        buffer_append_string(out, "\n");
    }
}

static void
append_count(struct buffer *out, size_t count, const char *word, const char *end)
{
    buffer_append_format(out, "%zu %s%s%s", count, word, count == 1 ? "" : "s", end);
}

static void
print_people(const struct doctor *doctor, bool color, struct buffer *out)
{
    const struct findings *findings = &doctor->findings;
    struct screen screen = {.color = color};
    buffer_append_string(out, "home ");
    append_clean(out, doctor->home);
    if (doctor->swarm_pid)
        buffer_append_format(out, ", its swarm runs (pid %ld)\n\n", doctor->swarm_pid);
    else
        buffer_append_string(out, ", no swarm of it runs\n\n");
    for (size_t i = 0; i < findings->count; i++)
        print_row(&screen, &findings->rows[i], out);
    if (findings->left_out)
        buffer_append_format(out, "and %zu findings more\n", findings->left_out);
    buffer_append_string(out, "\n");
    append_count(out, findings->counts[FINDING_ERROR], "error", ", ");
    append_count(out, findings->counts[FINDING_WARNING], "warning", ", ");
    append_count(out, findings->counts[FINDING_NOTE], "note", "\n");
}

void
doctor_print(const struct doctor *doctor, bool json, bool color, struct buffer *out)
{
    if (json)
        print_json(doctor, out);
    else
        print_people(doctor, color, out);
}
