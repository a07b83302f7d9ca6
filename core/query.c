/* SPDX-License-Identifier: MIT */
#include "core/query.h"
