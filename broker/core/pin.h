/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/pin.h - what is remembered of a service's store: which one it is, and how often it
 * was opened when it was last seen. A copy made earlier was opened less often. */
#ifndef SOS_BROKER_CORE_PIN_H
#define SOS_BROKER_CORE_PIN_H

#include <stdint.h>

#include "kernel/id.h"

struct pin {
    struct uuid store;
    uint64_t epoch; /* grows with every open of the store */
};

#endif
