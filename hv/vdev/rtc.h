/*
 * The MC146818 real-time clock and its 114 bytes of CMOS at ports 70H/71H. Time is not counted but
 * derived: wall clock = device time + an offset, which setting the clock changes. Its interrupts
 * (periodic, update, alarm) come on ISA IRQ 8. Locks: the VM's.
 */
#ifndef HV_VDEV_RTC_H
#define HV_VDEV_RTC_H

#include "mm/base/types.h"

#define RTC_PORT        0x70u
#define RTC_IRQ         8u
#define RTC_CENTURY_REG 0x32u /* as the FADT says */

struct rtc {
	u8 index;
	u8 cmos[128]; /* registers A..D and plain bytes; time fields only while SET freezes them */
	u64 boot_epoch_ns; /* wall clock when device time was 0, by the host; outlives resets */
	u64 offset_ns;     /* wall clock = device time + offset */
	u64 seen_ns;       /* flags are up to date as of this device time */
	u64 periodic_ns;   /* next periodic event, device time; ~0: none */
	void *context;
	void (*line)(void *context, bool level);
	bool line_level;
};

/* Once: @boot_epoch_s, the wall clock at device time 0. */
void rtc_init(struct rtc *rtc, u64 boot_epoch_s);
/* Registers as after power-on. The time goes on, as on a battery, and so do the CMOS bytes. */
void rtc_reset(struct rtc *rtc, u64 now_ns);
u8 rtc_read(struct rtc *rtc, u64 now_ns, u32 port_offset);
void rtc_write(struct rtc *rtc, u64 now_ns, u32 port_offset, u8 value);
/* Device time of the next interrupt, ~0 if none is enabled. */
u64 rtc_next_event(const struct rtc *rtc);
void rtc_tick(struct rtc *rtc, u64 now_ns);

#endif
