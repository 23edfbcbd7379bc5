/*
 * A 16550A whose line is infinitely fast: what is sent has left at once, so the transmitter is
 * always empty and its interrupt comes again right after each write. Receiving has the real 16-byte
 * FIFO. (National Semiconductor PC16550D data sheet.) Locks: the VM's.
 */
#ifndef HV_VDEV_UART16550_H
#define HV_VDEV_UART16550_H

#include "mm/base/types.h"

#define UART_PORT       0x3f8u
#define UART_IRQ        4u
#define UART_FIFO_BYTES 16u

struct uart16550 {
	u8 ier, fcr, lcr, mcr, scratch, divisor_low, divisor_high;
	u8 msr_delta; /* bits 3:0 of MSR */
	bool overrun, thre_pending;
	u8 rx[UART_FIFO_BYTES];
	u32 rx_first, rx_count;
	void *context;
	void (*out)(void *context, u8 byte);
	void (*line)(void *context, bool level); /* its interrupt output, called on changes only */
	bool line_level;
};

/* Power-on; the callbacks stay. */
void uart16550_reset(struct uart16550 *uart);
u8 uart16550_read(struct uart16550 *uart, u32 offset);
void uart16550_write(struct uart16550 *uart, u32 offset, u8 value);
/* A byte from outside. false: no room (or in loopback), try later. */
bool uart16550_receive(struct uart16550 *uart, u8 byte);

#endif
