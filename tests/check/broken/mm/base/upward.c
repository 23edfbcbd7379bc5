/* A sample that must be refused: the bottom room reaches up. */
#include "mm/frame/frame.h"
#include "mm/base/absent.h"
