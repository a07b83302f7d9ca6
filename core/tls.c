/* SPDX-License-Identifier: MIT */
#include "core/tls.h"
