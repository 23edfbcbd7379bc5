/*
 * Hypercalls, as a guest sees them: VMCALL (Intel) or VMMCALL (AMD) in ring 0, the number in RAX,
 * arguments in RBX, RCX, RDX, RSI; the answer in RAX, negative (two's complement) on error.
 * Bellows' presence is told by a CPUID leaf. A guest says first which version it speaks.
 */
#ifndef HV_ABI_HYPERCALL_H
#define HV_ABI_HYPERCALL_H

#include <stdint.h>

/* EAX: the highest leaf of ours; EBX, ECX, EDX: the signature's twelve bytes. */
#define BELLOWS_CPUID_LEAF      0x40000100u
#define BELLOWS_CPUID_SIGNATURE "BellowsVMM\0\0"

#define BELLOWS_HC_FIRST 0x42570000u /* "BW": numbers of our own, apart from KVM's and Xen's */
#define BELLOWS_HC_LAST  0x4257ffffu

/* RBX = highest version the guest speaks. Answer: the version both will use (1 ..), or an error. */
#define BELLOWS_HC_VERSION  0x42570000u
#define BELLOWS_ABI_VERSION 1u

/*
 * The balloon: see balloon.h. Each may be answered with BELLOWS_HC_E_AGAIN: a guest that calls too
 * often waits some 10 ms.
 *
 * HELLO: RBX = kind and version of the driver, RCX = pages that the guest's OS cannot do without,
 * RDX = pages of swap space, RSI = flags. Forgets what was said before; what is still inflated (by
 * the kernel before) is given back first: E_AGAIN until that is done, so repeat it. Answer: 0.
 * TARGET: RBX = what is asked. Answer: pages.
 * INFLATE, DEFLATE: RBX = guest-physical address, aligned to 4 KiB, of a list of 64-bit page
 * numbers, RCX = how many (1 .. 512), RDX = their order: 0, or 9 for 2 MiB each, named by the first
 * page and aligned. The list is read once. They are taken in order, up to the first that cannot be.
 * Fewer than given may be taken in one call: the rest is for the next. Answer: how many entries
 * were taken, or, if the first could not be, why not: E_RANGE (not RAM, or
 * not aligned), E_EXIST (inflated already; of 2 MiB, any part of it), E_NOTFOUND (not inflated; of
 * 2 MiB, any part), E_LIMIT (INFLATE: the balloon is at its target; DEFLATE: the host has promised
 * that memory to others, and may have it again later), E_AGAIN. A guest that uses a page which
 * DEFLATE would not give back is stopped where the host has no memory left.
 * STATS: RBX = guest-physical address, aligned, of a struct bellows_balloon_stats. Answer: 0.
 * GOODBYE: the driver goes; what is still inflated is given back. E_AGAIN: repeat it. Answer: 0.
 */
#define BELLOWS_HC_BALLOON_HELLO   0x42570010u
#define BELLOWS_HC_BALLOON_TARGET  0x42570011u
#define BELLOWS_HC_BALLOON_INFLATE 0x42570012u
#define BELLOWS_HC_BALLOON_DEFLATE 0x42570013u
#define BELLOWS_HC_BALLOON_STATS   0x42570014u
#define BELLOWS_HC_BALLOON_GOODBYE 0x42570015u

/*
 * Only where the configuration says debug.hypercalls = yes. RBX = guest page number: its next touch
 * will fault. Answer: 1 if the page was hidden, 0 if its state does not allow it.
 */
#define BELLOWS_HC_DEBUG_HIDE 0x4257ff00u
/* The same for all of this VM's pages. Answer: how many were hidden. */
#define BELLOWS_HC_DEBUG_HIDE_ALL 0x4257ff01u

/* Errors. */
#define BELLOWS_HC_E_UNKNOWN  (-1000) /* no such call (KVM's number for the same) */
#define BELLOWS_HC_E_PERM     (-1)    /* not from ring 0, or not allowed to this VM */
#define BELLOWS_HC_E_NOTFOUND (-2)
#define BELLOWS_HC_E_AGAIN    (-11) /* later: nothing was done, or not all of it */
#define BELLOWS_HC_E_EXIST    (-17)
#define BELLOWS_HC_E_INVALID  (-22) /* an argument that can never be right */
#define BELLOWS_HC_E_LIMIT    (-28)
#define BELLOWS_HC_E_RANGE    (-34)
#define BELLOWS_HC_E_STATE    (-107) /* say BELLOWS_HC_BALLOON_HELLO first */
#define BELLOWS_HC_E_VERSION  (-95)  /* say BELLOWS_HC_VERSION first, or no common version */

#endif
