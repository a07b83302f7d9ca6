/* SPDX-License-Identifier: MIT */
#include "core/identity.h"
