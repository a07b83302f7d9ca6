/* SPDX-License-Identifier: MIT */
#include "core/store.h"
