/* The console's commands. Each gets its words, and answers on the console. */
#include "hv/console/commands.h"
#include "hv/console/console.h"
#include "hv/console/crash.h"
#include "hv/disk/disk_test.h"
#include "hv/disk/disks.h"
#include "hv/console/host_commands.h"
#include "hv/console/log.h"
#include "hv/memory/memsched_host.h"
#include "hv/console/memtop.h"
#include "hv/memory/reclaim.h"
#include "hv/sched/sched.h"
#include "hv/config/settings.h"
#include "hv/memory/share.h"
#include "hv/vm/verdict.h"
#include "hv/vm/vm_swap.h"
#include "hv/vm/vm_wait.h"
#include "hv/console/watch.h"
#include "hv/console/why.h"
#include "hv/x86/cpu.h"
#include "hv/x86/power.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/ini.h"
#include "mm/base/str.h"

#define WORDS_MOST 8

typedef unsigned long long ull;

struct command {
	const char *name, *arguments, *help;
	u32 words_least, words_most; /* its name included */
	void (*run)(u32 count, char **words);
};

static const struct command commands[];

static struct vm *find_vm(const char *name)
{
	struct vm *vm = sched_find_vm(name);

	if (!vm)
		console_printf("no VM is called \"%s\"; try vms\n", name);
	return vm;
}

static struct vm *find_running(const char *name)
{
	struct vm *vm = find_vm(name);

	if (vm && vm->state != VM_RUNNING) {
		if (vm->state == VM_STARTING)
			console_printf("%s is starting; a moment\n", name);
		else if (vm->start_wanted)
			console_printf("%s is not running yet: it %s\n", name, vm->waits_for);
		else
			console_printf("%s is not running; try start %s\n", name, name);
		return NULL;
	}
	return vm;
}

/* --- Looking --------------------------------------------------------------------------------- */

static const char *note_of(const struct vm *vm)
{
	if (vm_is_on(vm))
		return share_note(vm);
	return vm->start_wanted ? vm->waits_for : vm->why;
}

static void run_vms(u32 count, char **words)
{
	const struct vm *vm;

	(void)count;
	(void)words;
	console_printf("%-16s %-8s %5s %9s %8s %10s  %s\n", "NAME", "STATE", "VCPU", "MEMSZ",
		"VERDICT", "CPU", "");
	list_for_each_entry (vm, sched_vms(), all) {
		struct vm_figures f;

		vm_figures_get(vm, &f);
		console_printf("%-16s %-8s %5u %5llu MiB %8s %6llu ms  %s\n", vm_name(vm),
			vm_state_name(vm), vm->vcpu_count, (ull)(vm->config->memory_bytes >> 20),
			vm_is_on(vm) ? "-" : verdict_name(vm->verdict), (ull)(f.run_ns / 1000000),
			note_of(vm));
	}
}

static void run_log(u32 count, char **words)
{
	char text[400];
	u64 cursor = 0;
	size_t bytes;

	(void)count;
	(void)words;
	while ((bytes = log_read(&cursor, text, sizeof(text))) > 0)
		console_printf("%.*s", (int)bytes, text);
}

static void run_help(u32 count, char **words)
{
	(void)count;
	(void)words;
	for (const struct command *c = commands; c->name; c++)
		console_printf("  %-9s %-16s %s\n", c->name, c->arguments, c->help);
}

/* --- Doing ----------------------------------------------------------------------------------- */

static void run_console(u32 count, char **words)
{
	struct vm *vm = find_vm(words[1]);

	(void)count;
	if (vm)
		console_attach(vm);
}

static void run_start(u32 count, char **words)
{
	struct vm *vm = find_vm(words[1]);
	size_t at = 0;
	err_t err;

	if (!vm)
		return;
	if (vm_is_on(vm)) {
		console_printf("%s is running already\n", words[1]);
		return;
	}
	vm->extra[0] = '\0';
	for (u32 i = 2; i < count && at < sizeof(vm->extra); i++)
		at += (size_t)fmt_snprintf(
			vm->extra + at, sizeof(vm->extra) - at, "%s%s", i > 2 ? " " : "", words[i]);
	err = vm_start(vm);
	if (err == E_WAIT)
		console_printf("%s %s\n", words[1], vm->waits_for);
	else if (err)
		console_printf("%s was not started: %s\n", words[1], vm->why);
}

static void run_stop(u32 count, char **words)
{
	struct vm *vm = find_vm(words[1]);

	(void)count;
	if (vm && vm->start_wanted) {
		vm_wait_call_off(vm);
		console_printf("%s does not start\n", words[1]);
	} else if (vm && !vm_is_on(vm)) {
		console_printf("%s is off already\n", words[1]);
	} else if (vm) {
		vm_end(vm, VM_OFF, "powered off by command");
	}
}

static void run_reset(u32 count, char **words)
{
	struct vm *vm = find_running(words[1]);

	(void)count;
	if (vm)
		vm_reset(vm);
}

static void run_poweroff(u32 count, char **words)
{
	struct vm *vm;

	(void)count;
	(void)words;
	list_for_each_entry (vm, sched_vms(), all) {
		if (vm_is_on(vm))
			vm_end(vm, VM_OFF, "powered off with the host");
	}
	console_printf("powering off\n");
	power_off();
}

/* hide NAME, or hide NAME every N (0 ends it). */
static void run_hide(u32 count, char **words)
{
	struct vm *vm = find_running(words[1]);
	u64 every;

	if (!vm)
		return;
	if (count == 2) {
		console_printf("%llu pages hidden\n", (ull)space_hide_all(vm->space));
		return;
	}
	if (count != 4 || strcmp(words[2], "every") != 0 ||
		ini_parse_u64((struct ini_str){words[3], strlen(words[3])}, &every) != 0) {
		console_printf("hide NAME, or hide NAME every N exits\n");
		return;
	}
	vm->hide_every = vm->hide_countdown = every;
}

static const struct command commands[] = {
	{"help", "", "this list", 1, 1, run_help},
	{"vms", "", "the virtual machines and how they fare", 1, 1, run_vms},
	{"memtop", "", "memory of host and VMs, rates, latencies, exits by reason", 1, 1,
		command_memtop},
	{"health", "", "how host and VMs fare, since when, and what to do", 1, 1, command_health},
	{"frames", "", "all page frames of the host by use", 1, 1, command_frames},
	{"cpus", "", "the host's CPUs: state, how much they idled", 1, 1, command_cpus},
	{"pci", "", "the devices on the host's PCI buses", 1, 1, command_pci},
	{"disks", "", "NVMe controllers, disks, partitions", 1, 1, command_disks},
	{"swap", "", "swap volumes, VMs' swap files", 1, 1, command_swap},
	{"console", "NAME", "a VM's serial line; Ctrl-] comes back", 2, 2, run_console},
	{"start", "NAME [WORDS]", "power a VM on, with more words on its command line", 2,
		WORDS_MOST, run_start},
	{"stop", "NAME", "power a VM off at once", 2, 2, run_stop},
	{"reset", "NAME", "restart a VM from its kernel", 2, 2, run_reset},
	{"log", "", "the hypervisor's messages", 1, 1, run_log},
	{"poweroff", "", "end all VMs and switch the machine off", 1, 1, run_poweroff},
	{"share", "[scan now NAME|all]", "what pages are shared; look for more now; share audit", 1,
		4, command_share},
	{"balloon", "[NAME SIZE|off]", "how the balloons fare; how large one is to be", 1, 3,
		command_balloon},
	{"reclaim", "NAME SIZE", "take so much memory from a VM now, or as much as there is", 3, 3,
		command_reclaim},
	{"memsched", "", "the memory scheduler: states, and what each VM is entitled to", 1, 1,
		command_memsched},
	{"why", "NAME", "what was taken from a VM or given back last: cause, technique, amount", 2,
		2, command_why},
	{"set", "[[NAME] KEY VALUE]", "change a value of the configuration; what can be, and is", 1,
		4, command_set},
	{"hide", "NAME [every N]", "debug: make all its pages fault again, now or every N exits", 2,
		4, run_hide},
	{"disk", "test NAME", "debug: write, read and verify a partition of the test type", 3, 4,
		command_disk},
	{"crash", "[stack|text|locks]", "debug: panic, by this or by an error", 1, 2,
		command_crash},
	{0},
};

static u32 split(char *line, char **words)
{
	u32 count = 0;

	for (char *at = line; *at;) {
		while (*at == ' ' || *at == '\t')
			*at++ = '\0';
		if (!*at)
			break;
		if (count < WORDS_MOST)
			words[count] = at;
		count++;
		while (*at && *at != ' ' && *at != '\t')
			at++;
	}
	return count;
}

void commands_run(char *line)
{
	char *words[WORDS_MOST];
	u32 count = split(line, words);

	if (count == 0)
		return;
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, words[0]) != 0)
			continue;
		if (count < c->words_least || count > c->words_most)
			console_printf("%s wants: %s %s\n", c->name, c->name, c->arguments);
		else
			c->run(count, words);
		return;
	}
	console_printf("unknown command \"%s\"; try help\n", words[0]);
}
