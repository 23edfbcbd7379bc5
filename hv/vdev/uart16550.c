/*
 * The 16550A's registers and its one interrupt. The transmit interrupt is the subtle part: it is
 * raised when the transmitter becomes empty and when it is enabled while empty, and it is cleared
 * by reading it from IIR or by writing THR. As the IOAPIC pin takes edges, the line must fall in
 * between.
 */
#include "hv/vdev/uart16550.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

#define IER_RECEIVE     0x01u
#define IER_TRANSMIT    0x02u
#define IER_LINE_STATUS 0x04u
#define IER_MODEM       0x08u

#define IIR_NONE        0x01u
#define IIR_MODEM       0x00u
#define IIR_TRANSMIT    0x02u
#define IIR_RECEIVE     0x04u
#define IIR_LINE_STATUS 0x06u
#define IIR_TIMEOUT     0x0cu
#define IIR_FIFOS       0xc0u

#define FCR_ENABLE   0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_KEPT     0xc9u

#define LCR_DLAB 0x80u

#define MCR_DTR  0x01u
#define MCR_RTS  0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u

#define LSR_DATA_READY 0x01u
#define LSR_OVERRUN    0x02u
#define LSR_TX_EMPTY   0x60u

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI  0x40u
#define MSR_DCD 0x80u

static u32 capacity(const struct uart16550 *u)
{
	return u->fcr & FCR_ENABLE ? UART_FIFO_BYTES : 1;
}

static u32 trigger(const struct uart16550 *u)
{
	static const u8 levels[4] = {1, 4, 8, 14};

	return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

/* The interrupt of highest priority. Bytes below the trigger level have always waited enough. */
static u8 pending_interrupt(const struct uart16550 *u)
{
	if ((u->ier & IER_LINE_STATUS) && u->overrun)
		return IIR_LINE_STATUS;
	if ((u->ier & IER_RECEIVE) && u->rx_count > 0)
		return u->rx_count >= trigger(u) ? IIR_RECEIVE : IIR_TIMEOUT;
	if ((u->ier & IER_TRANSMIT) && u->thre_pending)
		return IIR_TRANSMIT;
	if ((u->ier & IER_MODEM) && u->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_line(struct uart16550 *u)
{
	bool level = pending_interrupt(u) != IIR_NONE;

	if (level == u->line_level)
		return;
	u->line_level = level;
	u->line(u->context, level);
}

void uart16550_reset(struct uart16550 *u)
{
	u->ier = u->fcr = u->lcr = u->mcr = u->scratch = u->msr_delta = 0;
	u->divisor_low = 12; /* 9600 baud */
	u->divisor_high = 0;
	u->overrun = u->thre_pending = false;
	u->rx_first = u->rx_count = 0;
	update_line(u);
}

static void push(struct uart16550 *u, u8 byte)
{
	if (u->rx_count >= capacity(u)) {
		u->overrun = true;
		return;
	}
	u->rx[(u->rx_first + u->rx_count) % UART_FIFO_BYTES] = byte;
	u->rx_count++;
}

static u8 pop(struct uart16550 *u)
{
	u8 byte = u->rx[u->rx_first];

	if (u->rx_count == 0)
		return 0;
	u->rx_first = (u->rx_first + 1) % UART_FIFO_BYTES;
	u->rx_count--;
	return byte;
}

bool uart16550_receive(struct uart16550 *u, u8 byte)
{
	if ((u->mcr & MCR_LOOP) || u->rx_count >= capacity(u))
		return false;
	push(u, byte);
	update_line(u);
	return true;
}

static u8 modem_inputs(const struct uart16550 *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static u8 read_iir(struct uart16550 *u)
{
	u8 iir = pending_interrupt(u);

	if (iir == IIR_TRANSMIT)
		u->thre_pending = false;
	return iir | (u->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static u8 read_lsr(struct uart16550 *u)
{
	u8 lsr = LSR_TX_EMPTY | (u->rx_count ? LSR_DATA_READY : 0) | (u->overrun ? LSR_OVERRUN : 0);

	u->overrun = false;
	return lsr;
}

static u8 read_msr(struct uart16550 *u)
{
	u8 msr = modem_inputs(u) | u->msr_delta;

	u->msr_delta = 0;
	return msr;
}

u8 uart16550_read(struct uart16550 *u, u32 offset)
{
	bool dlab = u->lcr & LCR_DLAB;
	u8 value = 0xff;

	switch (offset) {
	case REG_DATA:
		value = dlab ? u->divisor_low : pop(u);
		break;
	case REG_IER:
		value = dlab ? u->divisor_high : u->ier;
		break;
	case REG_IIR_FCR:
		value = read_iir(u);
		break;
	case REG_LCR:
		value = u->lcr;
		break;
	case REG_MCR:
		value = u->mcr;
		break;
	case REG_LSR:
		value = read_lsr(u);
		break;
	case REG_MSR:
		value = read_msr(u);
		break;
	case REG_SCRATCH:
		value = u->scratch;
		break;
	}
	update_line(u);
	return value;
}

static void transmit(struct uart16550 *u, u8 byte)
{
	u->thre_pending = false;
	update_line(u);
	if (u->mcr & MCR_LOOP)
		push(u, byte);
	else
		u->out(u->context, byte);
	u->thre_pending = true;
}

static void write_ier(struct uart16550 *u, u8 value)
{
	if ((value & IER_TRANSMIT) && !(u->ier & IER_TRANSMIT))
		u->thre_pending = true;
	u->ier = value & 0x0f;
}

static void write_fcr(struct uart16550 *u, u8 value)
{
	/* Switching the FIFOs on or off empties them; the other bits count only with the first. */
	if ((value ^ u->fcr) & FCR_ENABLE)
		u->rx_count = 0;
	u->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	if ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX))
		u->rx_count = 0;
}

static void write_mcr(struct uart16550 *u, u8 value)
{
	u8 before = modem_inputs(u), changed;

	u->mcr = value & 0x1f;
	changed = before ^ modem_inputs(u);
	/* RI counts when it falls, the others when they change. */
	u->msr_delta |=
		(changed & (MSR_CTS | MSR_DSR | MSR_DCD)) >> 4 | (changed & before & MSR_RI) >> 4;
}

void uart16550_write(struct uart16550 *u, u32 offset, u8 value)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (dlab)
			u->divisor_low = value;
		else
			transmit(u, value);
		break;
	case REG_IER:
		if (dlab)
			u->divisor_high = value;
		else
			write_ier(u, value);
		break;
	case REG_IIR_FCR:
		write_fcr(u, value);
		break;
	case REG_LCR:
		u->lcr = value;
		break;
	case REG_MCR:
		write_mcr(u, value);
		break;
	case REG_SCRATCH:
		u->scratch = value;
		break;
	}
	update_line(u);
}
