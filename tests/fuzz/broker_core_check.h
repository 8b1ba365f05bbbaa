/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of a broker's core between two events: its figures add up and keep to its limits.
 */
#ifndef SOS_TEST_BROKER_CORE_CHECK_H
#define SOS_TEST_BROKER_CORE_CHECK_H

#include "broker/core/core.h"

/* ASSERTs. */
void broker_core_check(const struct core *core);

#endif
