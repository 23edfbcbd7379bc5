/*
 * A 16550 serial port on I/O ports, polled: 115200 8N1. Output waits for room in the FIFO (at most
 * some 90 us a character, less than a line of log costs to format twice); input never waits.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "mm/base/types.h"
#include "mm/base/lock.h"

#define UART_COM1 0x3f8
#define UART_COM2 0x2f8

struct uart {
	struct spinlock lock;
	u16 port;     /* [I] */
	bool present; /* [I] */
	u8 room;      /* bytes that surely fit into the FIFO [lock] */
	bool stalled; /* it did not drain in time: until it does, nobody waits for it [lock] */
};

/* Set the line up. Returns whether there is a port at all: all calls are harmless if not. */
bool uart_init(struct uart *uart, u16 port);

/* Bytes as they are, but "\n" is sent as "\r\n". Takes the lock. */
void uart_write(struct uart *uart, const char *text, size_t bytes);
/* The same without the lock: for a panic. */
void uart_write_unlocked(struct uart *uart, const char *text, size_t bytes);

/* Wait until everything has left for the line. */
void uart_drain(struct uart *uart);

/* The next byte received, or -1. */
int uart_read(struct uart *uart);

#endif
