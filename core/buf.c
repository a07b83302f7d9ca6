/* SPDX-License-Identifier: MIT */
#include "core/buf.h"
