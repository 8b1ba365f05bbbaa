/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/paths.h - where things stand below SOS_HOME. Strings only: nothing is
 * made or opened here.
 *
 *   config/sos.json config/swarm.json   run/ (lock, gateway.json)   logs/
 *   secrets/river.key secrets/broker.key secrets/<service>.key secrets/operator.key
 *   data/broker/keys.json data/<service>/ (RocksDB)  data/audit/ data/ledger/ data/artifacts/
 *   agents/<name>.json (connection files)   plugins/ tasks/ cache/ */
#ifndef SOS_KERNEL_PATHS_H
#define SOS_KERNEL_PATHS_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { PATH_SIZE = 1024 };

/* $SOS_HOME or else $HOME/.sos; VALIDATION when neither is set, it is not absolute or too long. */
enum status paths_home(char path[static PATH_SIZE], const char *sos_home, const char *user_home,
                       struct error *error);

/* "<home>/<relative>"; VALIDATION when too long. relative is trusted (our own). */
enum status paths_join(char path[static PATH_SIZE], const char *home, const char *relative,
                       struct error *error);

/* Every folder a home needs, NULL-terminated, parents first. */
extern const char *const paths_folders[];

#endif
