/* SPDX-License-Identifier: MIT */
#include "core/fetch.h"
