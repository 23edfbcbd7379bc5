/*
 * PM timer: a free-running counter at 3.579545 MHz, 24 or 32 bits (ACPI, "Power Management Timer").
 * PIT channel 2: a one-shot countdown at 1.193182 MHz whose output shows in port 61H. CMOS clock:
 * MC146818.
 */
#include "hv/x86/platform_clock.h"
#include "hv/x86/insn.h"
#include "hv/x86/power.h"

#define PM_TIMER_HZ 3579545ull
#define PIT_HZ      1193182ull

#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_GATE     0x61
#define GATE_ON      BIT(0)
#define GATE_SPEAKER BIT(1)
#define GATE_OUTPUT  BIT(5)
#define SPIN_LIMIT   5000000u /* a clock that stands still must not hang the boot */

static u32 pm_timer_read(const struct platform_clock *clock)
{
	return inl(power_acpi()->pm_timer_port) & clock->mask;
}

static bool pm_timer_runs(const struct platform_clock *clock)
{
	u32 first = pm_timer_read(clock);

	for (u32 i = 0; i < 10000; i++) {
		if (pm_timer_read(clock) != first)
			return true;
	}
	return false;
}

bool platform_clock_start(struct platform_clock *clock)
{
	const struct acpi_info *acpi = power_acpi();

	clock->mask = acpi->pm_timer_32bit ? ~0u : 0xffffff;
	clock->is_pm_timer = acpi->pm_timer_port && pm_timer_runs(clock);
	clock->name = clock->is_pm_timer ? "ACPI PM timer" : "PIT";
	return true;
}

static u64 pm_timer_wait_us(const struct platform_clock *clock, u32 us)
{
	u32 start = pm_timer_read(clock), ticks = 0;
	u32 wanted = (u32)(us * PM_TIMER_HZ / 1000000);

	for (u32 i = 0; ticks < wanted; i++) {
		if (i == SPIN_LIMIT)
			return 0;
		ticks = (pm_timer_read(clock) - start) & clock->mask;
	}
	return ticks * 1000000ull / PM_TIMER_HZ;
}

static u64 pit_wait_us(u32 us)
{
	u32 ticks = (u32)(us * PIT_HZ / 1000000);

	outb(PIT_GATE, (u8)((inb(PIT_GATE) & ~(GATE_SPEAKER | GATE_ON))));
	outb(PIT_COMMAND,
		0xb0); /* channel 2, both bytes, mode 0: output rises when the count is over */
	outb(PIT_CHANNEL2, (u8)ticks);
	outb(PIT_CHANNEL2, (u8)(ticks >> 8));
	outb(PIT_GATE, (u8)((inb(PIT_GATE) & ~GATE_SPEAKER) | GATE_ON));
	for (u32 i = 0; !(inb(PIT_GATE) & GATE_OUTPUT); i++) {
		if (i == SPIN_LIMIT)
			return 0;
	}
	return us;
}

u64 platform_clock_wait_us(const struct platform_clock *clock, u32 us)
{
	return clock->is_pm_timer ? pm_timer_wait_us(clock, us) : pit_wait_us(us);
}

enum {
	CMOS_SECOND = 0,
	CMOS_MINUTE = 2,
	CMOS_HOUR = 4,
	CMOS_DAY = 7,
	CMOS_MONTH = 8,
	CMOS_YEAR = 9,
	CMOS_STATUS_A = 10,
	CMOS_STATUS_B = 11
};

static u8 cmos_read(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

static u32 from_bcd(u32 value, bool bcd)
{
	return bcd ? (value >> 4) * 10 + (value & 15) : value;
}

/* Days from 1970-01-01 to a Gregorian date, months counted from March: leap days come last. */
static u64 days_since_1970(u32 year, u32 month, u32 day)
{
	u32 y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

u64 platform_clock_epoch(void)
{
	static const u8 fields[] = {
		CMOS_SECOND, CMOS_MINUTE, CMOS_HOUR, CMOS_DAY, CMOS_MONTH, CMOS_YEAR};
	u32 v[ARRAY_COUNT(fields)], again[ARRAY_COUNT(fields)];
	u8 status = cmos_read(CMOS_STATUS_B);
	bool bcd = !(status & BIT(2)), same = false, pm;

	/* Read until two readings agree: an update may fall in between. */
	for (u32 tries = 0; tries < 10 && !same; tries++) {
		same = true;
		for (u32 i = 0; i < ARRAY_COUNT(fields); i++) {
			again[i] = cmos_read(fields[i]);
			same &= tries > 0 && again[i] == v[i];
			v[i] = again[i];
		}
	}
	pm = !(status & BIT(1)) && (v[2] & 0x80);
	for (u32 i = 0; i < ARRAY_COUNT(fields); i++)
		v[i] = from_bcd(i == 2 ? v[i] & 0x7f : v[i], bcd);
	if (!(status & BIT(1)))
		v[2] = v[2] % 12 + (pm ? 12 : 0);
	if (v[4] < 1 || v[4] > 12 || v[3] < 1 || v[3] > 31)
		return 0;
	return days_since_1970(2000 + v[5], v[4], v[3]) * 86400 + v[2] * 3600ull + v[1] * 60 + v[0];
}
