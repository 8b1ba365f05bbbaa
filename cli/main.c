/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/status.h"

int
main(void)
{
    return 0;
}
