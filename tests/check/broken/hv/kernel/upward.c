/* A sample that must be refused. */
#include "hv/vm/vm.h"
