/* SPDX-License-Identifier: MIT */
#include "core/dial.h"
