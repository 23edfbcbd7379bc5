/* A sample that must be refused: the contract includes more than <stdint.h>. */
#include <stddef.h>
