/* SPDX-License-Identifier: MIT */
#include "core/server.h"
