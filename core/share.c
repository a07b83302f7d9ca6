/* SPDX-License-Identifier: MIT */
#include "core/share.h"
