/* SRCS: hv/config/config.c hv/config/config_keys.c hv/config/config_value.c mm/base/ini.c
 * mm/base/fmt.c */
/*
 * Any text as bellows.conf: parsing ends, reads nothing outside the text, and whatever it calls
 * startable keeps every promise that the rest of the hypervisor relies on.
 */
#include <stdlib.h>
#include <string.h>

#include "hv/config/config.h"
#include "mm/space/space.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static u32 reported;

static void report(void *context, u32 line, const char *message)
{
	(void)context;
	reported++;
	require(line > 0 && strlen(message) > 0);
}

#define TERMINATED(field) require(strnlen(field, sizeof(field)) < sizeof(field))

static void check_vm(const struct vm_config *vm)
{
	TERMINATED(vm->name);
	TERMINATED(vm->problem);
	TERMINATED(vm->kernel);
	TERMINATED(vm->initrd);
	TERMINATED(vm->cmdline);
	TERMINATED(vm->disk);
	TERMINATED(vm->share_salt);
	TERMINATED(vm->swap_dir);
	require(vm->startable == (vm->problem[0] == '\0'));
	if (!vm->startable)
		return;
	require(vm->name[0] && vm->kernel[0]);
	require(vm->memory_bytes >= CONFIG_VM_MEMORY_MIN && vm->memory_bytes <= SPACE_MEMORY_MAX);
	require(IS_ALIGNED(vm->memory_bytes, PAGE_BYTES));
	require(vm->vcpus >= 1 && vm->vcpus <= CONFIG_VCPUS_MAX);
	require(vm->reservation_bytes <= vm->limit_bytes && vm->limit_bytes <= vm->memory_bytes);
	require(vm->min_bytes <= vm->startup_bytes && vm->startup_bytes <= vm->memory_bytes);
	require(vm->shares > 0);
	require(vm->balloon_max.pct <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vm_config vms[64];
	struct config config = {.vms = vms, .vm_capacity = 64};
	const char *text = (const char *)data;
	u32 count = config_count_vms(text, size);
	err_t err;

	reported = 0;
	err = config_parse(text, size, &config, report, NULL);
	require(config.vm_count == min(count, 64u));
	require(config.problem_count == reported);
	require(err == (count > 64 ? E_NOMEM : reported ? E_INVAL : 0));
	for (u32 i = 0; i < config.vm_count; i++) {
		check_vm(&vms[i]);
		for (u32 j = 0; j < i && vms[i].startable; j++)
			require(strcmp(vms[i].name, vms[j].name) != 0);
	}
	require(config.host.share_force_salting <= 2 && config.host.idle_tax_pct <= 99);
	return 0;
}
