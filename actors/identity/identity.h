/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/identity.h - the identity service, for its host. */
#ifndef SOS_ACTORS_IDENTITY_H
#define SOS_ACTORS_IDENTITY_H

#include "actors/runtime/service.h"

extern const struct service identity_service;

#endif
