/* Which mistake tlb_broken.c makes. */
#ifndef TESTS_MODEL_TLB_BROKEN_H
#define TESTS_MODEL_TLB_BROKEN_H

enum tlb_mistake {
	TLB_NO_FLUSH, /* narrows without any flush */
	TLB_NO_KICK,  /* CPUs flush when they enter, but those inside are left there */
};

extern enum tlb_mistake tlb_mistake;

#endif
