/* The console font that is linked in: a PSF file of a Debian package (Makefile). */
#ifndef DRIVERS_FONT_H
#define DRIVERS_FONT_H

#include "mm/base/types.h"

extern const u8 font_psf[], font_psf_end[];

#endif
