/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/memory.h - the memory service, for its host. */
#ifndef SOS_ACTORS_MEMORY_H
#define SOS_ACTORS_MEMORY_H

#include "actors/runtime/service.h"

extern const struct service memory_service;

#endif
