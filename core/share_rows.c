/* SPDX-License-Identifier: MIT */
#include "core/share_rows.h"
