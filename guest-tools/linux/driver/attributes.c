// SPDX-License-Identifier: GPL-2.0
/*
 * In sysfs, under the device: what the balloon is and does, a number a file; "enabled" is the one
 * that root may write. bellows-guest(8) reads and writes them.
 */
#include <linux/device.h>
#include <linux/kstrtox.h>

#include "guest-tools/linux/driver/driver.h"

#define NUMBER(name, expression)                                                                   \
	static ssize_t name##_show(struct device *dev, struct device_attribute *a, char *text)     \
	{                                                                                          \
		const struct balloon *b = dev_get_drvdata(dev);                                    \
                                                                                                   \
		return sysfs_emit(text, "%llu\n", (unsigned long long)(expression));               \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

#define KIB(pages) ((pages) << (PAGE_SHIFT - 10))

NUMBER(size_kib, KIB(balloon_size(b)));
NUMBER(large_kib, KIB(b->large_count *LARGE_PAGES));
NUMBER(target_kib, KIB(b->target_pages));
NUMBER(maximum_kib, KIB(b->maximum_pages));
NUMBER(held_kib, KIB(b->held_pages));
NUMBER(backoff_ms, backoff_left_ms(&b->backoff, now_ms()));

NUMBER(inflated_kib, KIB(b->inflated_pages));
NUMBER(deflated_kib, KIB(b->deflated_pages));
NUMBER(self_deflated_kib, KIB(b->self_deflated_pages));
NUMBER(migrated_kib, KIB(b->migrated_pages));
NUMBER(oom_events, b->oom_count);
NUMBER(total_kib, KIB(b->stats->total_pages));
NUMBER(free_kib, KIB(b->stats->free_pages));
NUMBER(available_kib, KIB(b->stats->available_pages));
NUMBER(swap_free_kib, KIB(b->stats->swap_free_pages));
NUMBER(swap_in_kib, KIB(b->stats->swap_in_pages));
NUMBER(swap_out_kib, KIB(b->stats->swap_out_pages));
NUMBER(major_faults, b->stats->major_faults);
NUMBER(oom_kills, b->stats->oom_kills);

static ssize_t state_show(struct device *dev, struct device_attribute *a, char *text)
{
	const struct balloon *b = dev_get_drvdata(dev);
	u64 size = balloon_size(b);
	const char *state = "idle";

	if (!b->attached)
		state = "detached";
	else if (size && size <= b->held_pages && (!b->enabled || size > b->target_pages))
		state = "held";
	else if (!b->enabled)
		state = "disabled";
	else if (size < b->target_pages)
		state = backoff_left_ms(&b->backoff, now_ms()) ? "backing off" : "inflating";
	else if (size > b->target_pages)
		state = "deflating";
	return sysfs_emit(text, "%s\n", state);
}
static DEVICE_ATTR_RO(state);

static ssize_t enabled_show(struct device *dev, struct device_attribute *a, char *text)
{
	const struct balloon *b = dev_get_drvdata(dev);

	return sysfs_emit(text, "%d\n", b->enabled);
}

/* Returns when the balloon is where it should be then: disabled, it is empty. */
static ssize_t enabled_store(
	struct device *dev, struct device_attribute *a, const char *text, size_t bytes)
{
	struct balloon *b = dev_get_drvdata(dev);
	bool enabled;
	int error = kstrtobool(text, &enabled);

	if (error)
		return error;
	b->enabled = enabled;
	balloon_look(b);
	flush_delayed_work(&b->work);
	return bytes;
}
static DEVICE_ATTR_RW(enabled);

static struct attribute *balloon_files[] = {
	&dev_attr_enabled.attr,
	&dev_attr_state.attr,
	&dev_attr_size_kib.attr,
	&dev_attr_large_kib.attr,
	&dev_attr_target_kib.attr,
	&dev_attr_maximum_kib.attr,
	&dev_attr_held_kib.attr,
	&dev_attr_backoff_ms.attr,
	NULL,
};

static struct attribute *statistics_files[] = {
	&dev_attr_inflated_kib.attr,
	&dev_attr_deflated_kib.attr,
	&dev_attr_self_deflated_kib.attr,
	&dev_attr_migrated_kib.attr,
	&dev_attr_oom_events.attr,
	&dev_attr_total_kib.attr,
	&dev_attr_free_kib.attr,
	&dev_attr_available_kib.attr,
	&dev_attr_swap_free_kib.attr,
	&dev_attr_swap_in_kib.attr,
	&dev_attr_swap_out_kib.attr,
	&dev_attr_major_faults.attr,
	&dev_attr_oom_kills.attr,
	NULL,
};

static const struct attribute_group balloon_group = {.attrs = balloon_files};
static const struct attribute_group statistics_group = {
	.name = "statistics",
	.attrs = statistics_files,
};

const struct attribute_group *balloon_attributes[] = {&balloon_group, &statistics_group, NULL};
