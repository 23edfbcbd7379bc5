/* The model with real threads as CPUs: see threads.c. */
#ifndef TESTS_MODEL_THREADS_H
#define TESTS_MODEL_THREADS_H

#include "mm/base/types.h"

/* Runs with all sizes of pages; 0 if all was right. @usual_steps: of each CPU, without STEPS=n. */
int threads_run(bool with_sharing, u64 usual_steps);

#endif
