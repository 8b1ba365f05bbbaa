/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/provider_key.h - the provider's key where openai.api_key names a secret: read from
 * service:identity in the engine's own name, kept for some minutes, read again then.
 *
 * While identity is away the key that is at hand serves on until it is too old; from then on the
 * provider is unavailable, with the reason. */
#ifndef SOS_ENGINE_PROVIDER_KEY_H
#define SOS_ENGINE_PROVIDER_KEY_H

#include "actors/runtime/service.h"

enum { PROVIDER_KEY_ROUTINE_MS = 10000 };

#define PROVIDER_KEY_FRESH_US (UINT64_C(5) * 60 * 1000000) /* read again after */
#define PROVIDER_KEY_KEEP_US (UINT64_C(10) * 60 * 1000000) /* not used any longer after */

struct provider;

/* The service's routine: reads the key when it is time to. */
handler_fn provider_key_refresh;

/* Why it cannot be asked just now; NULL: it can. */
const char *provider_key_trouble(const struct provider *provider, struct now now);

/* Its server refused the key: perhaps there is a new one. */
void provider_key_refused(struct provider *provider);

#endif
