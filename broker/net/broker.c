/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/broker.h"
