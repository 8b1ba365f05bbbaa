/* SPDX-License-Identifier: Apache-2.0 */
/* platform/system_clock.h - the machine's clocks as a struct clock. Any thread. */
#ifndef SOS_PLATFORM_SYSTEM_CLOCK_H
#define SOS_PLATFORM_SYSTEM_CLOCK_H

#include "kernel/clock.h"

extern const struct clock system_clock;

#endif
