/* SPDX-License-Identifier: MIT */
#include "proto/name.h"
