/* SPDX-License-Identifier: MIT */
#include "core/selection.h"
