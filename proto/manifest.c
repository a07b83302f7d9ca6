/* SPDX-License-Identifier: MIT */
#include "proto/manifest.h"
