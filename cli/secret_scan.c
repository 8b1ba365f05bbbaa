/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secret_scan.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/paths.h"

enum {
    NAMED_VALUE_MIN = 8,
    NAME_SIZE = 64,
    RUN_MAX = 512 /* looked at from one place: a line of many beginnings stays cheap */
};

/* A known kind: its beginning, then at least `rest` letters, digits and characters of `more`, of
 * which one is a digit. */
static const struct {
    const char *prefix;
    const char *more;
    size_t rest;
    const char *kind;
} forms[] = {
    {"sk-ant-", "-_", 20, "a key of Anthropic's form"},
    {"sk-", "-_", 20, "a key of OpenAI's form"},
    {"sk_live_", "", 16, "a key of Stripe's form"},
    {"rk_live_", "", 16, "a key of Stripe's form"},
    {"AKIA", "", 16, "an access key of AWS's form"},
    {"ASIA", "", 16, "an access key of AWS's form"},
    {"ghp_", "", 36, "a token of GitHub's form"},
    {"gho_", "", 36, "a token of GitHub's form"},
    {"ghs_", "", 36, "a token of GitHub's form"},
    {"ghu_", "", 36, "a token of GitHub's form"},
    {"ghr_", "", 36, "a token of GitHub's form"},
    {"github_pat_", "_", 22, "a token of GitHub's form"},
    {"glpat-", "-_", 20, "a token of GitLab's form"},
    {"xoxb-", "-", 20, "a token of Slack's form"},
    {"xoxp-", "-", 20, "a token of Slack's form"},
    {"xapp-", "-", 20, "a token of Slack's form"},
    {"AIza", "-_", 35, "a key of Google's form"},
    {"hf_", "", 30, "a token of Hugging Face's form"},
    {"gsk_", "", 30, "a key of Groq's form"},
    {"npm_", "", 36, "a token of npm's form"},
    {"SG.", "-_.", 40, "a key of SendGrid's form"},
    {"AGE-SECRET-KEY-1", "", 40, "a secret key of age's form"},
};

/* Names whose value is a secret; `whole`: alone or behind a separator ("bot_token"). */
static const struct {
    const char *name;
    bool whole;
} names[] = {
    {"api_key", false},    {"api-key", false},   {"apikey", false},      {"secret_key", false},
    {"secret-key", false}, {"secretkey", false}, {"private_key", false}, {"secret_key_hex", false},
    {"access_key", false}, {"password", false},  {"passwd", true},       {"passphrase", false},
    {"secret", true},      {"token", true},
};

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static size_t
run_of(struct text line, size_t from, const char *more, bool *has_digit)
{
    size_t at = from;
    for (; at < line.size && at - from < RUN_MAX; at++) {
        char c = line.data[at];
        if (!isalnum((unsigned char)c) && (c == '\0' || !strchr(more, c)))
            break;
        *has_digit = *has_digit || isdigit((unsigned char)c);
    }
    return at - from;
}

static const char *
known_form(struct text line, size_t at)
{
    if (!strchr("sraAghxnSe", line.data[at]) || (at > 0 && is_word(line.data[at - 1])))
        return NULL;
    struct text rest = {line.data + at, line.size - at};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        bool has_digit = false;
        if (text_starts_with(rest, forms[i].prefix) &&
            run_of(rest, strlen(forms[i].prefix), forms[i].more, &has_digit) >= forms[i].rest &&
            has_digit)
            return forms[i].kind;
    }
    if (text_starts_with(rest, "eyJ")) {
        bool has_digit = false;
        size_t head = run_of(rest, 0, "-_", &has_digit);
        struct text behind = {rest.data + head, rest.size - head};
        if (head > 12 && text_starts_with(behind, ".eyJ"))
            return "a signed token (JWT)";
    }
    return NULL;
}

static bool
holds(struct text line, const char *part)
{
    return memmem(line.data, line.size, part, strlen(part)) != NULL;
}

/* What stands in front of a ':' or '=', in small letters: a bare or quoted name. */
static size_t
name_before(struct text line, size_t at, char name[static NAME_SIZE])
{
    while (at > 0 && (line.data[at - 1] == ' ' || line.data[at - 1] == '\t'))
        at--;
    if (at > 0 && (line.data[at - 1] == '"' || line.data[at - 1] == '\''))
        at--;
    size_t end = at;
    while (at > 0 && (is_word(line.data[at - 1]) || line.data[at - 1] == '-'))
        at--;
    size_t size = end - at;
    if (size == 0 || size >= NAME_SIZE)
        return 0;
    for (size_t i = 0; i < size; i++)
        name[i] = (char)tolower((unsigned char)line.data[at + i]);
    name[size] = '\0';
    return size;
}

static bool
names_a_secret(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i].name);
        if (size < length || strcmp(name + size - length, names[i].name) != 0)
            continue;
        if (!names[i].whole || size == length || strchr("_-", name[size - length - 1]))
            return true;
    }
    return false;
}

/* A quoted text that is no reference to a secret, no variable and no placeholder. */
static bool
has_quoted_value(struct text line, size_t at)
{
    while (at < line.size && (line.data[at] == ' ' || line.data[at] == '\t'))
        at++;
    if (at == line.size || (line.data[at] != '"' && line.data[at] != '\''))
        return false;
    const char *end = memchr(line.data + at + 1, line.data[at], line.size - at - 1);
    if (!end)
        return false;
    struct text value = {line.data + at + 1, (size_t)(end - line.data) - at - 1};
    if (value.size < NAMED_VALUE_MIN || memchr(value.data, ' ', value.size))
        return false;
    static const char *const references[] = {"secret:", "env:", "file:", "$", "<", "{"};
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++)
        if (text_starts_with(value, references[i]))
            return false;
    for (size_t i = 1; i < value.size; i++)
        if (value.data[i] != value.data[0])
            return true;
    return false;
}

static bool
scan_line(struct text line, struct secret_match *match)
{
    if (holds(line, "-----BEGIN ") && holds(line, "PRIVATE KEY-----")) {
        match->kind = "a private key (PEM)";
        match->sure = true;
        return true;
    }
    bool named = false;
    for (size_t at = 0; at < line.size; at++) {
        const char *kind = known_form(line, at);
        if (kind) {
            match->kind = kind;
            match->sure = true;
            return true;
        }
        char name[NAME_SIZE];
        if (!named && (line.data[at] == ':' || line.data[at] == '=')) {
            size_t size = name_before(line, at, name);
            named = size > 0 && names_a_secret(name, size) && has_quoted_value(line, at + 1);
        }
    }
    match->kind = "a value whose name says that it is secret";
    match->sure = false;
    return named;
}

void
secret_scan_text(struct secret_scan *scan, const char *path, struct text content)
{
    size_t told = 0;
    size_t number = 1;
    for (size_t at = 0; at < content.size && told < SECRET_SCAN_LINES_MAX; number++) {
        const char *end = memchr(content.data + at, '\n', content.size - at);
        size_t size = end ? (size_t)(end - content.data) - at : content.size - at;
        struct secret_match match = {.line = number};
        if (scan_line((struct text){content.data + at, size}, &match)) {
            scan->on_found(scan->context, path, &match);
            told++;
        }
        at += size + 1;
    }
}

/* Reads at most SECRET_SCAN_FILE_MAX bytes; false: it cannot be read. */
static bool
read_beginning(int fd, struct buffer *content)
{
    if (!buffer_reserve(content, SECRET_SCAN_FILE_MAX))
        return false;
    while (content->size < SECRET_SCAN_FILE_MAX) {
        ssize_t got = read(fd, content->data + content->size, SECRET_SCAN_FILE_MAX - content->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        content->size += (size_t)got;
    }
    return true;
}

static void
scan_at(struct secret_scan *scan, int folder_fd, const char *name, const char *path)
{
    struct stat state;
    struct buffer content;
    /* A FIFO must not make it wait, a link must not lead it elsewhere. */
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT && errno != ELOOP)
            scan->unreadable++;
        return;
    }
    if (fstat(fd, &state) != 0 || !S_ISREG(state.st_mode)) {
        close(fd);
        return;
    }
    buffer_init(&content);
    if (read_beginning(fd, &content)) {
        scan->files++;
        scan->bytes += content.size;
        scan->cut += state.st_size > SECRET_SCAN_FILE_MAX;
        secret_scan_text(scan, path, buffer_text(&content));
    } else {
        scan->unreadable++;
    }
    if (content.data)
        sodium_memzero(content.data, content.size);
    buffer_clear(&content);
    close(fd);
}

void
secret_scan_file(struct secret_scan *scan, const char *path)
{
    scan_at(scan, AT_FDCWD, path, path);
}

static bool
ends_in(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t length = strlen(suffix);
    return size >= length && strcmp(name + size - length, suffix) == 0;
}

static void
scan_below(struct secret_scan *scan, int fd, const char *path, const char *suffix, size_t depth)
{
    DIR *folder = fdopendir(fd);
    struct dirent *entry;
    if (!folder) {
        scan->unreadable++;
        close(fd);
        return;
    }
    while (!scan->too_many && (entry = readdir(folder)) != NULL) {
        char below[PATH_SIZE];
        struct stat state;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (paths_join(below, path, entry->d_name, NULL) != STATUS_OK ||
            fstatat(fd, entry->d_name, &state, AT_SYMLINK_NOFOLLOW) != 0) {
            scan->unreadable++;
        } else if (S_ISDIR(state.st_mode) && depth > 0) {
            int inner = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW);
            if (inner < 0)
                scan->unreadable++;
            else if (depth == 1)
                scan->too_many = true;
            if (inner >= 0 && depth > 1)
                scan_below(scan, inner, below, suffix, depth - 1);
            else if (inner >= 0)
                close(inner);
        } else if (S_ISREG(state.st_mode) && ends_in(entry->d_name, suffix)) {
            scan->too_many =
                scan->files >= SECRET_SCAN_FILES_MAX || scan->bytes >= SECRET_SCAN_BYTES_MAX;
            if (!scan->too_many)
                scan_at(scan, fd, entry->d_name, below);
        }
    }
    closedir(folder);
}

void
secret_scan_folder(struct secret_scan *scan, const char *path, const char *suffix, bool deep)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0)
        scan_below(scan, fd, path, suffix, deep ? SECRET_SCAN_DEPTH_MAX : 0);
    else if (errno != ENOENT)
        scan->unreadable++;
}
