/* SPDX-License-Identifier: MIT */
#include "core/catalog.h"
