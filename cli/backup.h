/* SPDX-License-Identifier: Apache-2.0 */
/* cli/backup.h - the form of a backup, shared by `sos backup` and `sos restore`.
 *
 * A folder that holds what a home holds and cannot be made again: data/<service>/ (a RocksDB
 * checkpoint of each service), data/broker/keys.json, data/broker/mail/, config/, secrets/,
 * agents/; and backup.json, written last:
 * {"format":1,"version":…,"created_at":…,"files":[{"path","size","sha256"}…]}. A folder without
 * backup.json is no backup. It holds every secret key of the home: keep it as safe as the home. */
#ifndef SOS_CLI_BACKUP_H
#define SOS_CLI_BACKUP_H

#define BACKUP_MANIFEST "backup.json"

enum { BACKUP_FORMAT = 1, BACKUP_MANIFEST_MAX = 64 * 1024 * 1024 };

#endif
