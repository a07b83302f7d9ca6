/* SPDX-License-Identifier: MIT */
#include "core/trust.h"
