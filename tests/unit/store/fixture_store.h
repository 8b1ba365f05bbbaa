/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary folders and short spellings for the tests of the store. */
#ifndef SOS_TEST_FIXTURE_STORE_H
#define SOS_TEST_FIXTURE_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

enum { FIXTURE_PATH = 512, FIXTURE_SCHEMA = 7, FIXTURE_SPACE = 0x10 };

struct fixture {
    char root[FIXTURE_PATH];   /* removed at the end */
    char folder[FIXTURE_PATH]; /* root/store, not made yet */
    struct error error;
};

/* cmocka set-up and tear-down: *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_path(const struct fixture *fixture, const char *name, char path[static FIXTURE_PATH]);
void fixture_remove(const char *folder);             /* with everything in it */
void fixture_copy(const char *from, const char *to); /* files of one folder, to a new one */
size_t fixture_files(const char *folder, const char *suffix, char name[static FIXTURE_PATH]);

/* Whole files; the caller frees. */
uint8_t *fixture_read(const char *folder, const char *name, size_t *size);
void fixture_write(const char *folder, const char *name, const uint8_t *data, size_t size);

struct store *fixture_open(struct fixture *fixture, const char *folder);
enum status fixture_try(struct fixture *fixture, const char *folder);

struct bytes bytes_of(const char *text);
void store_has(struct store *store, const char *key, const char *value);
void store_lacks(struct store *store, const char *key);
void store_put(struct store *store, const char *key, const char *value);
enum status store_put_status(struct store *store, const char *key, struct bytes value,
                             struct error *error);

#endif
