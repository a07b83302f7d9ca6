/* SPDX-License-Identifier: MIT */
#include "core/walk.h"
