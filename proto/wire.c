/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"
