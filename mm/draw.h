/* Numbers by chance, for choices that shall spread; nobody's secret depends on them. */
#ifndef MM_DRAW_H
#define MM_DRAW_H

#include "mm/base/types.h"

/* Begin anew with the platform's random numbers: once, before other CPUs draw. */
void draw_init(void);

/* One of 0 .. @below - 1. Two CPUs may draw the same. Cost: a division. */
u64 draw(u64 below);

#endif
