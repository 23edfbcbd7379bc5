/*
 * Code that was compiled for an operating system's programs: Debian's static liblz4. It may use
 * vector registers and the red zone, and checks the stack by a canary at FS:0x28, which is
 * struct cpu's (cpu.h). What else it refers to, hv/x86/library.c and mm/base/str.c define.
 *
 * Between begin and end no interrupt comes (root mode has them off), NMI, #DF and #MC have stacks
 * of their own, and every other exception is the end.
 */
#ifndef HV_X86_LIBRARY_H
#define HV_X86_LIBRARY_H

/* Draw this CPU's canary. On every CPU, after random_init() and tables_load(). */
void library_init_cpu(void);

/*
 * Put the vector registers aside if a vCPU's state is in them; it goes back into them before that
 * vCPU is entered again. Not nested.
 */
void library_begin(void);
void library_end(void);

#endif
