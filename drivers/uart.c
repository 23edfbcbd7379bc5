/* 16550: PC16550D data sheet, "Registers". Everything is polled; no interrupt is ever enabled. */
#include "drivers/uart.h"
#include "hv/x86/insn.h"

enum {
	UART_DATA = 0,
	UART_IER = 1,
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_SCRATCH = 7
};

#define LCR_8N1          0x03
#define LCR_DLAB         0x80
#define FCR_ENABLE_CLEAR 0x07
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_DATA         0x01
#define LSR_OVERRUN      0x02 /* reading it clears it */
#define LSR_EMPTY        0x20
#define LSR_ALL_SENT     0x40
#define SPIN_LIMIT       200000 /* a line that does not drain loses its output rather than hang us */

/* Nobody answers on a port that is not there: reads give 0xff. */
static bool is_present(u16 port)
{
	outb(port + UART_SCRATCH, 0x5a);
	if (inb(port + UART_SCRATCH) != 0x5a)
		return false;
	outb(port + UART_SCRATCH, 0xa5);
	return inb(port + UART_SCRATCH) == 0xa5 && inb(port + UART_LSR) != 0xff;
}

bool uart_init(struct uart *uart, u16 port)
{
	uart->port = port;
	uart->room = 0;
	uart->stalled = false;
	uart->overrun = false;
	uart->present = is_present(port);
	if (!uart->present)
		return false;
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, LCR_8N1 | LCR_DLAB);
	outb(port + UART_DATA, 1); /* 115200 */
	outb(port + UART_IER, 0);
	outb(port + UART_LCR, LCR_8N1);
	outb(port + UART_FCR, FCR_ENABLE_CLEAR);
	outb(port + UART_MCR, MCR_DTR_RTS_OUT2);
	return true;
}

static bool put(struct uart *uart, u8 byte)
{
	u32 most = uart->stalled ? 1 : SPIN_LIMIT;

	for (u32 i = 0; !uart->room && i < most; i++) {
		if (inb(uart->port + UART_LSR) & LSR_EMPTY)
			uart->room = UART_FIFO_BYTES;
	}
	uart->stalled = !uart->room;
	if (uart->stalled)
		return false;
	uart->room--;
	outb(uart->port + UART_DATA, byte);
	return true;
}

bool uart_put(struct uart *uart, const u8 *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!put(uart, bytes[i]))
			return false;
	}
	return true;
}

size_t uart_send(struct uart *uart, const u8 *bytes, size_t count)
{
	size_t sent = 0;

	if (!uart->room && (inb(uart->port + UART_LSR) & LSR_EMPTY))
		uart->room = UART_FIFO_BYTES;
	for (; sent < count && uart->room; sent++, uart->room--)
		outb(uart->port + UART_DATA, bytes[sent]);
	return sent;
}

void uart_write(struct uart *uart, const char *text, size_t bytes)
{
	if (!uart->present)
		return;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			put(uart, '\r');
		put(uart, (u8)text[i]);
	}
}

void uart_drain(struct uart *uart)
{
	if (!uart->present)
		return;
	for (u32 i = 0; i < SPIN_LIMIT && !(inb(uart->port + UART_LSR) & LSR_ALL_SENT); i++)
		;
}

int uart_read(struct uart *uart)
{
	if (!uart->present)
		return -1;
	u8 status = inb(uart->port + UART_LSR);

	uart->overrun = uart->overrun || (status & LSR_OVERRUN);
	if (!(status & LSR_DATA))
		return -1;
	return inb(uart->port + UART_DATA);
}
