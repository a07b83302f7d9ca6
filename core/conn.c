/* SPDX-License-Identifier: MIT */
#include "core/conn.h"
