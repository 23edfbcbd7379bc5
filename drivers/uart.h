/*
 * A 16550 serial port on I/O ports, polled: 115200 8N1, some 90 us a character. Output waits for
 * room in the FIFO, or with uart_send() takes no more than there is room for; input never waits.
 * Locks: the caller's.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "mm/base/types.h"

#define UART_COM1 0x3f8
#define UART_COM2 0x2f8

struct uart {
	u16 port;     /* [I] */
	bool present; /* [I] */
	u8 room;      /* bytes that surely fit into the FIFO */
	bool stalled; /* it did not drain in time: until it does, nobody waits for it */
	bool overrun; /* bytes came that found no room: the reader's to clear */
};

/* Set the line up. Returns whether there is a port at all: all calls are harmless if not. */
bool uart_init(struct uart *uart, u16 port);

#define UART_FIFO_BYTES 16u

/* Bytes as they are, but "\n" is sent as "\r\n". */
void uart_write(struct uart *uart, const char *text, size_t bytes);
/* Bytes as they are. Returns false if the line takes no more, however long one waits. */
must_check bool uart_put(struct uart *uart, const u8 *bytes, size_t count);

/* Bytes as they are, as many as the FIFO takes now: returns how many. Never waits. */
size_t uart_send(struct uart *uart, const u8 *bytes, size_t count);

/* Wait until everything has left for the line. */
void uart_drain(struct uart *uart);

/* The next byte received, or -1. */
int uart_read(struct uart *uart);

#endif
