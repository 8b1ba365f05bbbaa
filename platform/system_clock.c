/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/system_clock.h"

#include <time.h>

static uint64_t
read_us(clockid_t id)
{
    struct timespec time;
    clock_gettime(id, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static struct now
read_clocks(void *context)
{
    (void)context;
    return (struct now){read_us(CLOCK_MONOTONIC), read_us(CLOCK_REALTIME)};
}

const struct clock system_clock = {read_clocks, NULL};
