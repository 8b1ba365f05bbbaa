/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/assert.h - checks of what our own code guarantees, always compiled.
 *
 * Never for anything that comes from a peer, a file or a user: that is
 * validated and answered with a status. The condition must have no effect. */
#ifndef SOS_KERNEL_ASSERT_H
#define SOS_KERNEL_ASSERT_H

/* Prints the place and the condition to stderr and aborts. */
_Noreturn void assert_failed(const char *condition, const char *file, int line);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            assert_failed(#condition, __FILE__, __LINE__);                                         \
    } while (0)

#endif
