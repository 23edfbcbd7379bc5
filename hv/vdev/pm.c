/* Power and reset registers: see pm.h. */
#include "hv/vdev/pm.h"

#define KEYBOARD_STATUS  0x64u
#define SYSTEM_PORT_A    0x92u
#define PORT_A_FAST_INIT 0x01u
#define PORT_A_A20       0x02u
#define PCI_RESET        0xcf9u
#define PCI_RESET_CPU    0x04u

#define NS_PER_S 1000000000ull
#define TIMER_HZ 3579545u

#define SLEEP_TYPE(v)  ((v) >> 2 & 7)
#define SLEEP_ENABLE   0x20u
#define COMPAT_TYPE(v) ((v) >> 10 & 7)
#define COMPAT_ENABLE  0x2000u

void pm_reset(struct pm *pm)
{
	pm->port_92 = PORT_A_A20;
	pm->port_cf9 = 0;
}

static u32 timer_ticks(u64 now_ns)
{
	u64 seconds = now_ns / NS_PER_S;

	return (u32)(seconds * TIMER_HZ + (now_ns - seconds * NS_PER_S) * TIMER_HZ / NS_PER_S);
}

enum pm_answer pm_read(struct pm *pm, u64 now_ns, u16 port, u32 bytes, u32 *value)
{
	switch (port) {
	case PM_TIMER ... PM_TIMER + 3:
		*value = timer_ticks(now_ns) >> (8 * (port - PM_TIMER));
		return PM_DONE;
	case PM_SLEEP_CONTROL:
	case PM_SLEEP_STATUS:
	case PM_RESET:
	case PM_COMPAT:
		*value = 0;
		return PM_DONE;
	case KEYBOARD_STATUS:
		/* No keyboard controller, but never a full input buffer: resets wait for that. */
		*value = 0;
		return PM_DONE;
	case SYSTEM_PORT_A:
		*value = pm->port_92;
		return PM_DONE;
	case PCI_RESET:
		if (bytes != 1)
			return PM_NOT_MINE;
		*value = pm->port_cf9;
		return PM_DONE;
	}
	return PM_NOT_MINE;
}

static enum pm_answer write_port_92(struct pm *pm, u8 value)
{
	bool rising = value & ~pm->port_92 & PORT_A_FAST_INIT;

	pm->port_92 = value;
	return rising ? PM_RESET_ALL : PM_DONE;
}

static enum pm_answer write_port_cf9(struct pm *pm, u8 value)
{
	bool rising = value & ~pm->port_cf9 & PCI_RESET_CPU;

	pm->port_cf9 = value;
	return rising ? PM_RESET_ALL : PM_DONE;
}

enum pm_answer pm_write(struct pm *pm, u16 port, u32 bytes, u32 value)
{
	switch (port) {
	case PM_SLEEP_CONTROL:
		if ((value & SLEEP_ENABLE) && SLEEP_TYPE(value) == PM_SLEEP_TYPE_S5)
			return PM_POWER_OFF;
		return PM_DONE;
	case PM_SLEEP_STATUS:
		return PM_DONE;
	case PM_RESET:
		return (u8)value == PM_RESET_VALUE ? PM_RESET_ALL : PM_DONE;
	case PM_COMPAT:
		/* There S5 is type 0. */
		if (bytes >= 2 && (value & COMPAT_ENABLE) && COMPAT_TYPE(value) == 0)
			return PM_POWER_OFF;
		return PM_DONE;
	case KEYBOARD_STATUS:
		/* "Pulse output lines", F0H to FFH; a clear bit 0 pulses the CPU's reset. */
		return (value & 0xf1) == 0xf0 ? PM_RESET_ALL : PM_DONE;
	case SYSTEM_PORT_A:
		return write_port_92(pm, (u8)value);
	case PCI_RESET:
		return bytes == 1 ? write_port_cf9(pm, (u8)value) : PM_NOT_MINE;
	}
	return PM_NOT_MINE;
}
