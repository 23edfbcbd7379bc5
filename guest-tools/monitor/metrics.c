/* Two tables, host and VM, and a few metrics of neither. Labels hold what sample.c let through. */
#include "guest-tools/monitor/metrics.h"
#include <stdio.h>
#include <string.h>

#define PAGE 4096.0

struct metric {
	int field;
	const char *name, *type, *help;
	double unit; /* the field's value by this is what is told */
};

static const struct metric host_metrics[] = {
	{HOST_TIME_MS, "bellows_host_uptime_seconds", "gauge", "Time since the hypervisor started.",
		1e-3},
	{HOST_DROPPED, "bellows_host_monitor_dropped_lines_total", "counter",
		"Lines that the second serial line had no room for.", 1},
	{HOST_MEMORY, "bellows_host_memory_bytes", "gauge", "Memory of the host.", 1},
	{HOST_FREE, "bellows_host_free_bytes", "gauge", "Free memory.", 1},
	{HOST_MIN_FREE, "bellows_host_min_free_bytes", "gauge",
		"Free memory that the states are measured by.", 1},
	{HOST_PROMISED, "bellows_host_promised_bytes", "gauge", "Memory promised to running VMs.",
		1},
	{HOST_OVERHEAD, "bellows_host_overhead_bytes", "gauge",
		"Memory that running VMs cost besides.", 1},
	{HOST_HYPERVISOR, "bellows_host_hypervisor_bytes", "gauge",
		"Memory of the hypervisor itself.", 1},
};

static const struct metric vm_metrics[] = {
	{VM_MEMORY, "bellows_vm_memory_bytes", "gauge", "Configured memory.", 1},
	{VM_GRANTED, "bellows_vm_granted_bytes", "gauge",
		"Memory that is mapped, shared and zero pages too.", 1},
	{VM_CONSUMED, "bellows_vm_consumed_bytes", "gauge", "Machine memory that the VM uses.", 1},
	{VM_ZERO, "bellows_vm_zero_bytes", "gauge", "Pages that read as zeros and cost nothing.",
		1},
	{VM_SHARED, "bellows_vm_shared_bytes", "gauge", "Pages that are kept once for several.", 1},
	{VM_SHARED_SAVED, "bellows_vm_shared_saved_bytes", "gauge", "What sharing them saves.", 1},
	{VM_BALLOON, "bellows_vm_balloon_bytes", "gauge", "Size of the balloon.", 1},
	{VM_BALLOON_TARGET, "bellows_vm_balloon_target_bytes", "gauge",
		"Size that the balloon is to have.", 1},
	{VM_BALLOON_MAX, "bellows_vm_balloon_max_bytes", "gauge", "Size that the balloon may have.",
		1},
	{VM_ZIPPED_NOW, "bellows_vm_compressed_bytes", "gauge",
		"Memory that is compressed, as the guest sees it.", 1},
	{VM_SWAPPED, "bellows_vm_swapped_bytes", "gauge", "Memory in the VM's swap file.", 1},
	{VM_SWAP_TARGET, "bellows_vm_swap_target_bytes", "gauge",
		"Memory that is to be in the VM's swap file.", 1},
	{VM_ACTIVE, "bellows_vm_active_bytes", "gauge",
		"Memory that the VM uses, as far as can be told.", 1},
	{VM_ENTITLED, "bellows_vm_entitled_bytes", "gauge", "Memory that the VM is entitled to.",
		1},
	{VM_CACHE, "bellows_vm_compression_cache_bytes", "gauge",
		"Memory that its compressed pages take.", 1},
	{VM_CACHE_MAX, "bellows_vm_compression_cache_max_bytes", "gauge",
		"Memory that they may take.", 1},
	{VM_OVERHEAD, "bellows_vm_overhead_bytes", "gauge",
		"Memory that the hypervisor needs for the VM.", 1},
	{VM_SWAP_IN_P50, "bellows_vm_swap_in_latency_p50_seconds", "gauge",
		"Half of the pages read were there in this.", 1e-6},
	{VM_SWAP_IN_P99, "bellows_vm_swap_in_latency_p99_seconds", "gauge",
		"99 of 100 pages read were there in this.", 1e-6},
	{VM_DISK_P50, "bellows_vm_disk_latency_p50_seconds", "gauge",
		"Half of the disk's requests took less.", 1e-6},
	{VM_DISK_P99, "bellows_vm_disk_latency_p99_seconds", "gauge",
		"99 of 100 of the disk's requests took less.", 1e-6},
	{VM_FAULTS, "bellows_vm_faults_total", "counter",
		"Touches of memory that the hypervisor answered.", 1},
	{VM_ZIPPED, "bellows_vm_compressed_bytes_total", "counter", "Memory compressed.", PAGE},
	{VM_UNZIPPED, "bellows_vm_decompressed_bytes_total", "counter",
		"Memory decompressed for a touch.", PAGE},
	{VM_SWAPPED_OUT, "bellows_vm_swap_out_bytes_total", "counter",
		"Memory written to the swap file.", PAGE},
	{VM_SWAPPED_IN, "bellows_vm_swap_in_bytes_total", "counter",
		"Memory read back for a touch.", PAGE},
	{VM_READ_AHEAD, "bellows_vm_swap_read_ahead_bytes_total", "counter",
		"Memory read back along with it.", PAGE},
	{VM_BALLOONED, "bellows_vm_ballooned_bytes_total", "counter",
		"Memory given up by the balloon.", PAGE},
	{VM_MERGED, "bellows_vm_share_merged_bytes_total", "counter",
		"Pages given up for a shared one.", PAGE},
	{VM_COPIED, "bellows_vm_share_copied_bytes_total", "counter",
		"Shared pages copied for a write.", PAGE},
	{VM_WAITS, "bellows_vm_memory_waits_total", "counter",
		"Times that a vCPU waited for a page.", 1},
	{VM_WAITED_NS, "bellows_vm_memory_wait_seconds_total", "counter",
		"Time that vCPUs waited for pages.", 1e-9},
	{VM_GUEST_SWAPPED_IN, "bellows_vm_guest_swap_in_bytes_total", "counter",
		"The guest's own swapping, in.", PAGE},
	{VM_GUEST_SWAPPED_OUT, "bellows_vm_guest_swap_out_bytes_total", "counter",
		"The guest's own swapping, out.", PAGE},
	{VM_GUEST_MAJOR_FAULTS, "bellows_vm_guest_major_faults_total", "counter",
		"The guest's own major faults.", 1},
	{VM_EXITS, "bellows_vm_exits_total", "counter", "Exits to the hypervisor.", 1},
	{VM_RUN_NS, "bellows_vm_cpu_seconds_total", "counter", "Time on a CPU.", 1e-9},
	{VM_HEALTH_SECONDS, "bellows_vm_health_seconds", "gauge",
		"For how long the health is what it is; 0: awesome.", 1},
};

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_host(FILE *out, const struct sample *s)
{
	static const char *const states[] = {"high", "clear", "soft", "hard", "low"};

	for (size_t i = 0; i < sizeof(host_metrics) / sizeof(host_metrics[0]); i++) {
		const struct metric *m = &host_metrics[i];

		put_head(out, m->name, m->type, m->help);
		fprintf(out, "%s %.16g\n", m->name, (double)s->host[m->field] * m->unit);
	}
	put_head(out, "bellows_host_memory_state", "gauge",
		"1 for the state that free memory is in.");
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		fprintf(out, "bellows_host_memory_state{state=\"%s\"} %d\n", states[i],
			strcmp(states[i], s->state) == 0);
}

static void put_vm_metric(FILE *out, const struct sample *s, const struct metric *m)
{
	put_head(out, m->name, m->type, m->help);
	for (size_t i = 0; i < s->vm_count; i++)
		fprintf(out, "%s{vm=\"%s\"} %.16g\n", m->name, s->vms[i].name,
			(double)s->vms[i].values[m->field] * m->unit);
}

static void put_words(FILE *out, const struct sample *s)
{
	static const char *const grades[] = {"awesome", "good", "hmm", "oops"};

	put_head(out, "bellows_vm_running", "gauge", "Whether the VM runs.");
	for (size_t i = 0; i < s->vm_count; i++)
		fprintf(out, "bellows_vm_running{vm=\"%s\"} %d\n", s->vms[i].name,
			strcmp(s->vms[i].state, "running") == 0);
	put_head(out, "bellows_vm_health", "gauge", "0 awesome, 1 good, 2 hmm, 3 oops.");
	for (size_t i = 0; i < s->vm_count; i++) {
		for (int grade = 0; grade < 4; grade++) {
			if (strcmp(s->vms[i].health, grades[grade]) == 0)
				fprintf(out, "bellows_vm_health{vm=\"%s\"} %d\n", s->vms[i].name,
					grade);
		}
	}
}

char *metrics_text(const struct sample *s, uint64_t samples, size_t *bytes)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);

	if (!out)
		return NULL;
	put_head(out, "bellows_up", "gauge", "Whether the hypervisor tells of itself.");
	fprintf(out, "bellows_up %d\n", s != NULL);
	put_head(out, "bellows_exporter_samples_total", "counter", "Samples received.");
	fprintf(out, "bellows_exporter_samples_total %llu\n", (unsigned long long)samples);
	if (s) {
		put_host(out, s);
		for (size_t i = 0; i < sizeof(vm_metrics) / sizeof(vm_metrics[0]); i++)
			put_vm_metric(out, s, &vm_metrics[i]);
		put_words(out, s);
	}
	return fclose(out) == 0 ? text : NULL;
}
