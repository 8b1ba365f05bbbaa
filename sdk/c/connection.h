/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/connection.h - how to reach a swarm and as whom: endpoint, keys, identity.
 *
 * Two files hold it: config/swarm.json {"endpoint","broker_public_key"} and a key or connection
 * file
 * {"identity","curve_public_key","curve_secret_key"[,"endpoint","broker_public_key"]}, mode 0600.
 */
#ifndef SOS_SDK_CONNECTION_H
#define SOS_SDK_CONNECTION_H

#include "kernel/curve.h"
#include "kernel/error.h"
#include "kernel/message.h"
#include "kernel/status.h"

enum { ENDPOINT_SIZE = 256 };

struct connection {
    char endpoint[ENDPOINT_SIZE];
    char broker_public_key[CURVE_KEY_TEXT_SIZE];
    char identity[MESSAGE_NAME_MAX + 1];
    struct curve_keys keys;
};

/* Reads swarm_path and then key_path over it. Without swarm_path key_path may be a connection file,
 * or a key file alone: then endpoint and broker_public_key are "". VALIDATION names file and
 * member; FORBIDDEN when key_path is readable by group or others; NOT_FOUND and the rest as
 * file_load(). */
enum status connection_load(struct connection *connection, const char *swarm_path,
                            const char *key_path, struct error *error);

/* The same with swarm_path read over key_path: the endpoint that the home's broker has now counts,
 * not the one of when the connection file was written. swarm_path may be absent if key_path says it
 * all. */
enum status connection_load_home(struct connection *connection, const char *swarm_path,
                                 const char *key_path, struct error *error);

/* Is it complete and well-formed? VALIDATION names the member. */
enum status connection_check(const struct connection *connection, struct error *error);

/* Writes a connection file, mode 0600, atomically (temporary file, fsync, rename). */
enum status connection_save(const struct connection *connection, const char *path,
                            struct error *error);

/* Overwrites the secret key. */
void connection_clear(struct connection *connection);

#endif
