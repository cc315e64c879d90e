// SPDX-License-Identifier: Apache-2.0
//
// Linked statically: what no preload reaches. Says that it ran.

#include <stdio.h>

int main(void) { return puts("ran") < 0; }
