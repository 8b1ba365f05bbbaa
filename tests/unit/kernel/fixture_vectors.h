/* SPDX-License-Identifier: Apache-2.0 */
/* fixture_vectors.h - reads the files of tests/vectors. */
#ifndef SOS_TESTS_FIXTURE_VECTORS_H
#define SOS_TESTS_FIXTURE_VECTORS_H

#include <jansson.h>

/* The caller drops it; ends the program with the reason when the file cannot be read. */
json_t *vectors_load(const char *name);

#endif
