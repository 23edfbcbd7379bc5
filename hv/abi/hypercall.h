/*
 * Hypercalls, as a guest sees them: VMCALL (Intel) or VMMCALL (AMD) in ring 0, the number in RAX,
 * arguments in RBX, RCX, RDX, RSI; the answer in RAX, negative (two's complement) on error.
 * Bellows' presence is told by CPUID leaf 0x40000100. A guest says first which version it speaks.
 */
#ifndef HV_ABI_HYPERCALL_H
#define HV_ABI_HYPERCALL_H

#include <stdint.h>

#define BELLOWS_HC_FIRST 0x42570000u /* "BW": numbers of our own, apart from KVM's and Xen's */
#define BELLOWS_HC_LAST  0x4257ffffu

/* RBX = highest version the guest speaks. Answer: the version both will use (1 ..), or an error. */
#define BELLOWS_HC_VERSION  0x42570000u
#define BELLOWS_ABI_VERSION 1u

/*
 * Only where the configuration says debug.hypercalls = yes. RBX = guest page number: its next touch
 * will fault. Answer: 1 if the page was hidden, 0 if its state does not allow it.
 */
#define BELLOWS_HC_DEBUG_HIDE 0x4257ff00u
/* The same for all of this VM's pages. Answer: how many were hidden. */
#define BELLOWS_HC_DEBUG_HIDE_ALL 0x4257ff01u

/* Errors. */
#define BELLOWS_HC_E_UNKNOWN (-1000) /* no such call (KVM's number for the same) */
#define BELLOWS_HC_E_PERM    (-1)    /* not from ring 0, or not allowed to this VM */
#define BELLOWS_HC_E_INVALID (-22)
#define BELLOWS_HC_E_VERSION (-95) /* say BELLOWS_HC_VERSION first, or no common version */

#endif
