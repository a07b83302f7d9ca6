/* SPDX-License-Identifier: MIT */
#include "proto/session.h"
