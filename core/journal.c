/* SPDX-License-Identifier: MIT */
#include "core/journal.h"
