// SPDX-License-Identifier: Apache-2.0
//
// A library whose one function talks.

#include "say.h"

void plugin_talk(const char* word) { talk(word); }
