/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/engine.h - the engine service, for its host. */
#ifndef SOS_ACTORS_ENGINE_H
#define SOS_ACTORS_ENGINE_H

#include "actors/runtime/service.h"

extern const struct service engine_service;

#endif
