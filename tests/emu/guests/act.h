/* Deeds that have files of their own: each returns what went wrong, or NULL. */
#ifndef TESTS_EMU_GUESTS_ACT_H
#define TESTS_EMU_GUESTS_ACT_H

const char *act_cpus(void);
const char *act_flush(void);

#endif
