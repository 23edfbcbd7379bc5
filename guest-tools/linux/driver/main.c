// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon driver of Bellows' guests: found by its ACPI device, loaded and unloaded at any time.
 * See driver.h for its parts, and bellows_balloon(4).
 */
#include <linux/acpi.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/suspend.h>

#include "guest-tools/linux/driver/compat.h"
#include "guest-tools/linux/driver/driver.h"
#include "guest-tools/linux/driver/hypercall.h"

static bool enabled = true;
module_param(enabled, bool, 0444);
MODULE_PARM_DESC(
	enabled, "whether the balloon may inflate; bellows-guest(8) changes it at run time");

/* --- Sleeping --------------------------------------------------------------------------------- */

static unsigned long long mib_left(const struct balloon *b)
{
	return balloon_size(b) >> (20 - PAGE_SHIFT);
}

/*
 * Before anything sleeps, for hibernation takes half of the memory for its image, and what wakes up
 * may be another machine, where nothing is inflated.
 */
static int fall_asleep(struct balloon *b)
{
	s64 answer;

	b->asleep = true;
	cancel_delayed_work_sync(&b->work);
	answer = balloon_empty(b);
	if (answer == 0) {
		balloon_detach(b);
		return NOTIFY_OK;
	}
	dev_err(b->dev, "not suspended: the hypervisor keeps %llu MiB of the balloon (%lld)\n",
		mib_left(b), answer);
	b->asleep = false;
	balloon_look(b);
	return notifier_from_errno(-EBUSY);
}

static int on_sleep(struct notifier_block *notifier, unsigned long what, void *unused)
{
	struct balloon *b = container_of(notifier, struct balloon, on_sleep);

	switch (what) {
	case PM_SUSPEND_PREPARE:
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		return fall_asleep(b);
	case PM_POST_SUSPEND:
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		b->asleep = false;
		balloon_look(b);
		return NOTIFY_OK;
	}
	return NOTIFY_DONE;
}

/* --- Coming ----------------------------------------------------------------------------------- */

static irqreturn_t on_interrupt(int irq, void *b)
{
	balloon_look(b);
	return IRQ_HANDLED;
}

static struct balloon *balloon_make(struct platform_device *device)
{
	struct balloon *b = devm_kzalloc(&device->dev, sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	/* A page each, for the hypercalls want them so. */
	b->list = (u64 *)devm_get_free_pages(&device->dev, GFP_KERNEL | __GFP_ZERO, 0);
	b->stats = (void *)devm_get_free_pages(&device->dev, GFP_KERNEL | __GFP_ZERO, 0);
	if (!b->list || !b->stats)
		return NULL;
	b->dev = &device->dev;
	b->enabled = enabled;
	b->on_oom.notifier_call = balloon_oom;
	b->on_sleep.notifier_call = on_sleep;
	mutex_init(&b->lock);
	INIT_DELAYED_WORK(&b->work, balloon_work);
	balloon_pages_init(b);
	platform_set_drvdata(device, b);
	return b;
}

static int balloon_probe(struct platform_device *device)
{
	struct balloon *b = balloon_make(device);
	int error;

	if (!b)
		return -ENOMEM;
	b->irq = platform_get_irq(device, 0);
	if (b->irq < 0)
		return b->irq;
	error = balloon_attach(b);
	if (error)
		return error;
	error = request_irq(b->irq, on_interrupt, 0, DRIVER_NAME, b);
	if (error)
		goto detach;
	error = register_oom_notifier(&b->on_oom);
	if (error)
		goto free_irq;
	error = register_pm_notifier(&b->on_sleep);
	if (error)
		goto unregister_oom;
	balloon_look(b);
	return 0;

unregister_oom:
	unregister_oom_notifier(&b->on_oom);
free_irq:
	free_irq(b->irq, b);
	cancel_delayed_work_sync(&b->work);
detach:
	balloon_detach(b);
	return error;
}

/* --- Going ------------------------------------------------------------------------------------ */

/*
 * While the host is known to hold a part of the balloon, the module is not unloaded (note_held()).
 * If it began to hold some in the last second only, this waits until it gives it back, or until the
 * unloading process is killed.
 */
static void give_up(struct balloon *b)
{
	s64 answer = balloon_empty(b);

	if (answer)
		dev_warn(b->dev, "the hypervisor keeps %llu MiB of the balloon (%lld); waiting\n",
			mib_left(b), answer);
	while (answer && !fatal_signal_pending(current)) {
		schedule_timeout_killable(HZ);
		answer = balloon_empty(b);
	}
	balloon_detach(b);
	balloon_empty(b);
}

static compat_remove_t balloon_remove(struct platform_device *device)
{
	struct balloon *b = platform_get_drvdata(device);

	unregister_pm_notifier(&b->on_sleep);
	unregister_oom_notifier(&b->on_oom);
	free_irq(b->irq, b);
	cancel_delayed_work_sync(&b->work);
	give_up(b);
	return COMPAT_REMOVED;
}

/*
 * Reboot, power-off, kexec: the next kernel is to find plain memory, and finds it, though the host
 * may have too little when all of it is used. Nothing can be refused here.
 */
static void balloon_shutdown(struct platform_device *device)
{
	struct balloon *b = platform_get_drvdata(device);

	disable_irq(b->irq);
	cancel_delayed_work_sync(&b->work);
	if (b->held_pages)
		dev_warn(b->dev, "the hypervisor has promised %llu MiB of the balloon to others\n",
			b->held_pages >> (20 - PAGE_SHIFT));
	balloon_detach(b);
}

/* --- The module ------------------------------------------------------------------------------- */

static const struct acpi_device_id balloon_ids[] = {{BELLOWS_BALLOON_HID, 0}, {}};
MODULE_DEVICE_TABLE(acpi, balloon_ids);

static struct platform_driver balloon_driver = {
	.probe = balloon_probe,
	.remove = balloon_remove,
	.shutdown = balloon_shutdown,
	.driver =
		{
			.name = DRIVER_NAME,
			.acpi_match_table = balloon_ids,
			.dev_groups = balloon_attributes,
			.suppress_bind_attrs = true, /* it goes with its module only */
		},
};

static int __init balloon_init(void)
{
	if (!hypercall_is_bellows()) {
		pr_info(DRIVER_NAME ": this is no virtual machine of Bellows; staying out\n");
		return -ENODEV;
	}
	return platform_driver_register(&balloon_driver);
}
module_init(balloon_init);

static void __exit balloon_exit(void)
{
	platform_driver_unregister(&balloon_driver);
}
module_exit(balloon_exit);

MODULE_DESCRIPTION("Memory balloon of Bellows' virtual machines");
MODULE_LICENSE("GPL");
MODULE_VERSION(BELLOWS_VERSION);
