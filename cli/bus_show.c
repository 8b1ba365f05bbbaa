/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_show.h"

#include <stdio.h>

#include "cli/print.h"
#include "kernel/json.h"

enum {
    NAME_WIDTH = 16, /* of who and where in lines that come one by one */
    TYPE_WIDTH = 10,
    ID_WIDTH = 36
};

struct text
show_text(const struct value *map, const char *name)
{
    struct text text = {"", 0};
    value_find_text(map, name, &text);
    return text;
}

/* ---- lines */

static bool
write_line(struct buffer *line)
{
    buffer_append_byte(line, '\n');
    bool good = !line->failed && fwrite(line->data, 1, line->size, stdout) == line->size &&
                fflush(stdout) == 0;
    buffer_clear(line);
    return good;
}

static bool
write_json(const struct value *value)
{
    struct buffer line;
    buffer_init(&line);
    if (msgpack_to_json(value->raw, &line, NULL) != STATUS_OK)
        buffer_append_string(&line, "null");
    return write_line(&line);
}

/* At least so wide: names are shown whole. */
static void
append(const struct screen *screen, struct buffer *line, struct text text, size_t width,
       enum screen_style style)
{
    size_t columns = screen_columns(text);
    screen_cell(screen, line, text, columns > width ? 0 : width, style);
    buffer_append_string(line, "  ");
}

/* "2026-11-23T19:32:12.565646Z" without day and microseconds. */
static void
append_time(const struct screen *screen, struct buffer *line, const struct value *map)
{
    struct text time = show_text(map, "sent_at");
    if (time.size >= 23)
        time = (struct text){time.data + 11, 12};
    append(screen, line, time, 12, STYLE_DIM);
}

static void
append_payload(const struct screen *screen, struct buffer *line, const struct value *map)
{
    struct value payload;
    struct buffer json;
    buffer_init(&json);
    if (value_find(map, "payload", &payload))
        msgpack_to_json(payload.raw, &json, NULL);
    screen_cell(screen, line, buffer_text(&json), 0, STYLE_PLAIN);
    line->failed = line->failed || json.failed;
    buffer_clear(&json);
}

bool
show_mail(const struct cli *cli, const struct screen *screen, const struct value *mail)
{
    struct buffer line;
    uint64_t attempt = 0;
    if (cli->json)
        return write_json(mail);
    buffer_init(&line);
    append_time(screen, &line, mail);
    append(screen, &line, show_text(mail, "id"), ID_WIDTH, STYLE_DIM);
    append(screen, &line, show_text(mail, "from"), NAME_WIDTH, STYLE_CYAN);
    append(screen, &line, show_text(mail, "type"), TYPE_WIDTH, STYLE_BOLD);
    if (value_find_uint(mail, "attempt", &attempt) && attempt > 1)
        buffer_append_format(&line, "(try %llu) ", (unsigned long long)attempt);
    append_payload(screen, &line, mail);
    return write_line(&line);
}

bool
show_event(const struct cli *cli, const struct screen *screen, const struct value *event)
{
    struct buffer line;
    if (cli->json)
        return write_json(event);
    buffer_init(&line);
    append_time(screen, &line, event);
    append(screen, &line, show_text(event, "channel"), NAME_WIDTH, STYLE_YELLOW);
    append(screen, &line, show_text(event, "from"), NAME_WIDTH, STYLE_CYAN);
    append(screen, &line, show_text(event, "type"), TYPE_WIDTH, STYLE_BOLD);
    append_payload(screen, &line, event);
    return write_line(&line);
}

bool
show_dropped(const struct cli *cli, uint64_t dropped)
{
    if (cli->json)
        printf("{\"dropped\":%llu}\n", (unsigned long long)dropped);
    else
        fprintf(stderr, "%llu events were left out: this reads too slowly\n",
                (unsigned long long)dropped);
    return fflush(stdout) == 0;
}

/* ---- tables */

void
show_member(struct table *table, const struct value *map, const char *name)
{
    struct value value;
    struct buffer json;
    if (!value_find(map, name, &value) || value.type == VALUE_NIL) {
        table_add(table, text_of("-"));
        return;
    }
    if (value.type == VALUE_TEXT) {
        table_add(table, value.as.text);
        return;
    }
    buffer_init(&json);
    msgpack_to_json(value.raw, &json, NULL);
    table_add(table, buffer_text(&json));
    buffer_clear(&json);
}

void
show_moment(struct table *table, const struct value *map, const char *name)
{
    struct text text = show_text(map, name);
    if (text.size < 19)
        table_add(table, text.size > 0 ? text : text_of("-"));
    else
        table_add_format(table, "%.5s %.8s", text.data + 5, text.data + 11);
}

int
show_json(const struct bus_caller *caller, struct bytes answer)
{
    struct error error = ERROR_INIT;
    enum status status = print_value(answer, false, &error);
    return status == STATUS_OK ? EXIT_OK : bus_caller_refused(caller, status, &error);
}

int
show_list(const struct bus_caller *caller, struct bytes answer, const char *member,
          const char *const *headings, show_row_fn *row)
{
    struct value map;
    struct value list;
    struct value item;
    if (caller->cli->json)
        return show_json(caller, answer);
    bool found = value_parse(answer, &map);
    list = map;
    if (found && member)
        found = value_find(&map, member, &list);
    if (!found || list.type != VALUE_ARRAY)
        return command_fail(caller->command, EXIT_FAILED, "the answer cannot be read");
    struct table *table = table_new(headings);
    if (!table)
        return command_fail(caller->command, EXIT_FAILED, "out of memory");
    for (struct entries entries = value_entries(&list); entries_next(&entries, &item);)
        row(table, &item);
    struct screen screen = screen_of_stdout(COLOR_AUTO);
    bool printed = table_print(table, &screen);
    table_destroy(&table);
    if (!printed)
        return command_fail(caller->command, EXIT_FAILED, "standard output cannot be written");
    if (list.as.count == 0)
        fprintf(stderr, "nothing\n");
    return EXIT_OK;
}
