/* SPDX-License-Identifier: MIT */
#include "core/fs.h"
