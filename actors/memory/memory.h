/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/memory.h - the memory service, for its host.
 *
 * Memories of no particular agent (operation add, search without agent_id) are those of the agent
 * "shared"; in capability resources it has no name: memory:/new, memory:/<id>. */
#ifndef SOS_ACTORS_MEMORY_H
#define SOS_ACTORS_MEMORY_H

#include "actors/runtime/service.h"

extern const struct service memory_service;

#endif
