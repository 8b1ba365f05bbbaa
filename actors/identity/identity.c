/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/identity.h"
