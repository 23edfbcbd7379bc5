/*
 * The clock's registers. Flags (register C) are brought up to date whenever somebody looks, from
 * the time that passed since the last look; rtc_next_event() tells when looking would raise an
 * interrupt.
 */
#include "hv/vdev/rtc.h"
#include "hv/vdev/civil_time.h"
#include "mm/base/str.h"

#define NS_PER_S 1000000000ull

enum {
	REG_SECONDS,
	REG_SECONDS_ALARM,
	REG_MINUTES,
	REG_MINUTES_ALARM,
	REG_HOURS,
	REG_HOURS_ALARM,
	REG_WEEKDAY,
	REG_DAY,
	REG_MONTH,
	REG_YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D,
};

#define A_UIP      0x80u
#define A_DEFAULT  0x26u /* 32768 Hz crystal, 1024 Hz periodic rate */
#define B_SET      0x80u
#define B_ENABLES  0x70u /* periodic, alarm, update: same places as the flags in C */
#define B_BINARY   0x04u
#define B_24H      0x02u
#define C_IRQ      0x80u
#define C_PERIODIC 0x40u
#define C_ALARM    0x20u
#define C_UPDATE   0x10u
#define D_VALID    0x80u
#define HOUR_PM    0x80u
#define ANY        0xc0u /* an alarm field with both upper bits set matches anything */

#define UPDATE_LEAD_NS 244000u /* UIP rises that long before the second changes */

static u8 encode(const struct rtc *rtc, u32 value)
{
	return (u8)(rtc->cmos[REG_B] & B_BINARY ? value : value / 10 << 4 | value % 10);
}

static u32 decode(const struct rtc *rtc, u8 value)
{
	return rtc->cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static u8 encode_hour(const struct rtc *rtc, u32 hour)
{
	if (rtc->cmos[REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static u32 decode_hour(const struct rtc *rtc, u8 value)
{
	if (rtc->cmos[REG_B] & B_24H)
		return decode(rtc, value);
	return decode(rtc, value & 0x7f) % 12 + (value & HOUR_PM ? 12 : 0);
}

static u64 wall_ns(const struct rtc *rtc, u64 now_ns)
{
	return now_ns + rtc->offset_ns;
}

static bool is_time_reg(u32 reg)
{
	return reg == REG_SECONDS || reg == REG_MINUTES || reg == REG_HOURS ||
	       (reg >= REG_WEEKDAY && reg <= REG_YEAR) || reg == RTC_CENTURY_REG;
}

/* The wall clock into the time registers. */
static void load_fields(struct rtc *rtc, u64 now_ns)
{
	struct civil_time t;

	civil_from_epoch(wall_ns(rtc, now_ns) / NS_PER_S, &t);
	rtc->cmos[REG_SECONDS] = encode(rtc, t.second);
	rtc->cmos[REG_MINUTES] = encode(rtc, t.minute);
	rtc->cmos[REG_HOURS] = encode_hour(rtc, t.hour);
	rtc->cmos[REG_WEEKDAY] = encode(rtc, t.weekday + 1);
	rtc->cmos[REG_DAY] = encode(rtc, t.day);
	rtc->cmos[REG_MONTH] = encode(rtc, t.month);
	rtc->cmos[REG_YEAR] = encode(rtc, t.year % 100);
	rtc->cmos[RTC_CENTURY_REG] = encode(rtc, t.year / 100);
}

/* And back. Nonsense fields are taken modulo what they may be. */
static void store_fields(struct rtc *rtc, u64 now_ns)
{
	struct civil_time t = {
		.second = decode(rtc, rtc->cmos[REG_SECONDS]),
		.minute = decode(rtc, rtc->cmos[REG_MINUTES]),
		.hour = decode_hour(rtc, rtc->cmos[REG_HOURS]),
		.day = decode(rtc, rtc->cmos[REG_DAY]),
		.month = decode(rtc, rtc->cmos[REG_MONTH]),
		.year = decode(rtc, rtc->cmos[RTC_CENTURY_REG]) * 100 +
			decode(rtc, rtc->cmos[REG_YEAR]),
	};

	rtc->offset_ns = civil_to_epoch(&t) * NS_PER_S - now_ns;
}

static u64 periodic_period_ns(const struct rtc *rtc)
{
	u32 rate = rtc->cmos[REG_A] & 15;

	if (rate == 0 || !(rtc->cmos[REG_B] & C_PERIODIC))
		return 0;
	if (rate < 3)
		rate += 7;
	return (NS_PER_S << (rate - 1)) / 32768;
}

static bool alarm_field_matches(const struct rtc *rtc, u32 reg, u32 value)
{
	u8 alarm = rtc->cmos[reg];

	if ((alarm & ANY) == ANY)
		return true;
	return (reg == REG_HOURS_ALARM ? decode_hour(rtc, alarm) : decode(rtc, alarm)) == value;
}

/* First wall-clock second from @from on at which the alarm matches; ~0: never. At most 48+60+60
 * steps. */
static u64 next_alarm_s(const struct rtc *rtc, u64 from)
{
	u64 s = from;

	for (u32 steps = 0; steps < 256; steps++) {
		u32 of_day = (u32)(s % 86400);

		if (!alarm_field_matches(rtc, REG_HOURS_ALARM, of_day / 3600))
			s += 3600 - of_day % 3600;
		else if (!alarm_field_matches(rtc, REG_MINUTES_ALARM, of_day / 60 % 60))
			s += 60 - of_day % 60;
		else if (!alarm_field_matches(rtc, REG_SECONDS_ALARM, of_day % 60))
			s++;
		else
			return s;
	}
	return ~0ull;
}

static void update_line(struct rtc *rtc)
{
	bool level = rtc->cmos[REG_C] & rtc->cmos[REG_B] & B_ENABLES;

	rtc->cmos[REG_C] = (rtc->cmos[REG_C] & B_ENABLES) | (level ? C_IRQ : 0);
	if (level == rtc->line_level)
		return;
	rtc->line_level = level;
	rtc->line(rtc->context, level);
}

void rtc_tick(struct rtc *rtc, u64 now_ns)
{
	u64 seen_s = wall_ns(rtc, rtc->seen_ns) / NS_PER_S, now_s = wall_ns(rtc, now_ns) / NS_PER_S;
	u64 period = periodic_period_ns(rtc);

	if (now_ns <= rtc->seen_ns)
		return;
	rtc->seen_ns = now_ns;
	if (period && now_ns >= rtc->periodic_ns) {
		rtc->periodic_ns += ((now_ns - rtc->periodic_ns) / period + 1) * period;
		rtc->cmos[REG_C] |= C_PERIODIC;
	}
	if (now_s != seen_s && !(rtc->cmos[REG_B] & B_SET)) {
		rtc->cmos[REG_C] |= C_UPDATE;
		if (next_alarm_s(rtc, seen_s + 1) <= now_s)
			rtc->cmos[REG_C] |= C_ALARM;
	}
	update_line(rtc);
}

u64 rtc_next_event(const struct rtc *rtc)
{
	u64 seen_s = wall_ns(rtc, rtc->seen_ns) / NS_PER_S, next_s = ~0ull, next = ~0ull;
	/* A flag that is up already interrupts no more until it is read. */
	u8 wanted = rtc->cmos[REG_B] & B_ENABLES & ~rtc->cmos[REG_C];

	if (rtc->line_level)
		return ~0ull;
	if (wanted & C_PERIODIC)
		next = rtc->periodic_ns;
	if (!(rtc->cmos[REG_B] & B_SET)) {
		if (wanted & C_UPDATE)
			next_s = seen_s + 1;
		else if (wanted & C_ALARM)
			next_s = next_alarm_s(rtc, seen_s + 1);
	}
	if (next_s != ~0ull)
		next = min(next, next_s * NS_PER_S - rtc->offset_ns);
	return next;
}

void rtc_init(struct rtc *rtc, u64 boot_epoch_s)
{
	rtc->boot_epoch_ns = boot_epoch_s * NS_PER_S;
	rtc->offset_ns = rtc->boot_epoch_ns;
}

void rtc_reset(struct rtc *rtc, u64 now_ns)
{
	rtc->index = 0;
	rtc->cmos[REG_A] = A_DEFAULT;
	rtc->cmos[REG_B] = B_24H;
	rtc->cmos[REG_C] = 0;
	rtc->cmos[REG_D] = D_VALID;
	rtc->seen_ns = now_ns;
	rtc->periodic_ns = ~0ull;
	update_line(rtc);
}

static u8 read_register_a(const struct rtc *rtc, u64 now_ns)
{
	u64 into = wall_ns(rtc, now_ns) % NS_PER_S;
	bool updating = into >= NS_PER_S - UPDATE_LEAD_NS && !(rtc->cmos[REG_B] & B_SET);

	return (rtc->cmos[REG_A] & ~A_UIP) | (updating ? A_UIP : 0);
}

u8 rtc_read(struct rtc *rtc, u64 now_ns, u32 port_offset)
{
	u8 value;

	if (port_offset == 0)
		return 0xff; /* the index is write-only */
	rtc_tick(rtc, now_ns);
	if (rtc->index == REG_A)
		return read_register_a(rtc, now_ns);
	if (is_time_reg(rtc->index) && !(rtc->cmos[REG_B] & B_SET))
		load_fields(rtc, now_ns);
	value = rtc->cmos[rtc->index];
	if (rtc->index == REG_C) {
		rtc->cmos[REG_C] = 0;
		update_line(rtc);
	}
	return value;
}

static void write_register_b(struct rtc *rtc, u64 now_ns, u8 value)
{
	u8 before = rtc->cmos[REG_B];

	/* SET freezes the fields; releasing it starts the clock from what they hold then. */
	if (value & ~before & B_SET) {
		load_fields(rtc, now_ns);
		value &= ~C_UPDATE;
	}
	if (before & ~value & B_SET)
		store_fields(rtc, now_ns);
	rtc->cmos[REG_B] = value;
	if ((before ^ value) & C_PERIODIC) {
		u64 period = periodic_period_ns(rtc);

		rtc->periodic_ns = period ? now_ns + period : ~0ull;
	}
}

static void write_register_a(struct rtc *rtc, u64 now_ns, u8 value)
{
	u64 period;

	rtc->cmos[REG_A] = value & ~A_UIP;
	period = periodic_period_ns(rtc);
	rtc->periodic_ns = period ? now_ns + period : ~0ull;
}

void rtc_write(struct rtc *rtc, u64 now_ns, u32 port_offset, u8 value)
{
	if (port_offset == 0) {
		rtc->index = value & 0x7f;
		return;
	}
	rtc_tick(rtc, now_ns);
	switch (rtc->index) {
	case REG_A:
		write_register_a(rtc, now_ns, value);
		break;
	case REG_B:
		write_register_b(rtc, now_ns, value);
		break;
	case REG_C:
	case REG_D:
		return;
	default:
		if (is_time_reg(rtc->index) && !(rtc->cmos[REG_B] & B_SET)) {
			load_fields(rtc, now_ns);
			rtc->cmos[rtc->index] = value;
			store_fields(rtc, now_ns);
		}
		rtc->cmos[rtc->index] = value;
	}
	update_line(rtc);
}
