/* SPDX-License-Identifier: Apache-2.0 */
/* cli/secret_scan.h - looks for keys, tokens and passwords where none belong: in settings and
 * plugins. Says what kind and on which line, never the value.
 *
 * Content is hostile: any bytes, any size. Links are not followed, only regular files are read, and
 * of each at most SECRET_SCAN_FILE_MAX bytes. */
#ifndef SOS_CLI_SECRET_SCAN_H
#define SOS_CLI_SECRET_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/bytes.h"

enum {
    SECRET_SCAN_FILE_MAX = 4 * 1024 * 1024,
    SECRET_SCAN_FILES_MAX = 10000, /* of one scan */
    SECRET_SCAN_BYTES_MAX = 256 * 1024 * 1024,
    SECRET_SCAN_DEPTH_MAX = 16,
    SECRET_SCAN_LINES_MAX = 20 /* told of one file */
};

struct secret_match {
    const char *kind; /* static: "a key of OpenAI's form" */
    bool sure;        /* has the form of a known kind; else only its name says so */
    size_t line;      /* from 1 */
};

typedef void secret_found_fn(void *context, const char *path, const struct secret_match *match);

struct secret_scan {
    secret_found_fn *on_found;
    void *context;
    size_t files;      /* out: looked at */
    size_t bytes;      /* out: of them */
    size_t cut;        /* out: larger than SECRET_SCAN_FILE_MAX, only their beginning was */
    size_t unreadable; /* out: files and folders that could not be read */
    bool too_many;     /* out: more or deeper than is looked at */
};

/* At most one match per line, SECRET_SCAN_LINES_MAX in all. */
void secret_scan_text(struct secret_scan *scan, const char *path, struct text content);

/* A file that is not there is fine. */
void secret_scan_file(struct secret_scan *scan, const char *path);

/* Files of a folder that end in `suffix` ("" for all), with those of the folders below it when
 * deep. A folder that is not there is fine. */
void secret_scan_folder(struct secret_scan *scan, const char *path, const char *suffix, bool deep);

#endif
