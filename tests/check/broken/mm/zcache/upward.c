/* A sample that must be refused. */
#include "mm/space/space.h"
