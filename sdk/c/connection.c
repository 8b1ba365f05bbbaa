/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk/c/connection.h"
