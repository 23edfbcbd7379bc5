/* A sample that must be refused: one vendor knows the other, and a hosted header. */
#include <stdio.h>
#include "hv/svm/vmcb.h"
