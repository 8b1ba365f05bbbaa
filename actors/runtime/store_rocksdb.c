/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/store.h"
