/* Sums and differences. */
#include "guest-tools/monitor/table.h"
#include <string.h>

#define MIB        1048576.0
#define PAGE_BYTES 4096.0

const struct column_info column_infos[COLUMN_COUNT] = {
	[COLUMN_MEMSZ] = {"MEMSZ", "memory_mib", "configured memory, MiB"},
	[COLUMN_GRANT] = {"GRANT", "granted_mib", "of it, mapped now, shared and zero pages too"},
	[COLUMN_CNSM] = {"CNSM", "consumed_mib",
		"machine memory it uses: of what it shares, its part"},
	[COLUMN_SHRD] = {"SHRD", "shared_mib", "pages that are kept once for several"},
	[COLUMN_SHRDSVD] = {"SHRDSVD", "shared_saved_mib", "what that saves"},
	[COLUMN_MCTLSZ] = {"MCTLSZ", "balloon_mib", "taken by its balloon"},
	[COLUMN_MCTLTGT] = {"MCTLTGT", "balloon_target_mib", "what the balloon is to take"},
	[COLUMN_SWCUR] = {"SWCUR", "swapped_mib", "in its swap file"},
	[COLUMN_SWR] = {"SWR/s", "swap_read_mib_per_s", "read from there, MiB/s"},
	[COLUMN_SWW] = {"SWW/s", "swap_write_mib_per_s", "written there, MiB/s"},
	[COLUMN_CACHEUSD] = {"CACHEUSD", "cache_mib", "memory that its compressed pages take"},
	[COLUMN_ZIP] = {"ZIP/s", "zip_mib_per_s", "compressed, MiB/s"},
	[COLUMN_UNZIP] = {"UNZIP/s", "unzip_mib_per_s", "decompressed, MiB/s"},
	[COLUMN_OVHD] = {"OVHD", "overhead_mib", "what the hypervisor needs for it"},
	[COLUMN_SWPWT] = {"%SWPWT", "swap_wait_pct", "time that it waited for pages"},
	[COLUMN_SWIN99] = {"SWIN99us", "swap_in_p99_us", "99 of 100 pages were read in so many us"},
	[COLUMN_GUEST_SWAP] = {"GSWAP/s", "guest_swap_mib_per_s",
		"the guest's own swapping, MiB/s"},
};

/* A second. */
static double rate(const struct vm_sample *vm, const struct vm_sample *before, uint64_t passed_ms,
	enum vm_field field)
{
	if (!before || passed_ms == 0 || vm->values[field] < before->values[field])
		return 0;
	return (double)(vm->values[field] - before->values[field]) * 1000 / (double)passed_ms;
}

void table_columns(const struct vm_sample *vm, const struct vm_sample *before, uint64_t passed_ms,
	double columns[COLUMN_COUNT])
{
	static const struct {
		enum column column;
		enum vm_field field;
		double unit;
	} sizes[] =
		{
			{COLUMN_MEMSZ, VM_MEMORY, MIB},
			{COLUMN_GRANT, VM_GRANTED, MIB},
			{COLUMN_CNSM, VM_CONSUMED, MIB},
			{COLUMN_SHRD, VM_SHARED, MIB},
			{COLUMN_SHRDSVD, VM_SHARED_SAVED, MIB},
			{COLUMN_MCTLSZ, VM_BALLOON, MIB},
			{COLUMN_MCTLTGT, VM_BALLOON_TARGET, MIB},
			{COLUMN_SWCUR, VM_SWAPPED, MIB},
			{COLUMN_CACHEUSD, VM_CACHE, MIB},
			{COLUMN_OVHD, VM_OVERHEAD, MIB},
			{COLUMN_SWIN99, VM_SWAP_IN_P99, 1},
		},
	  rates[] = {
		  {COLUMN_SWR, VM_SWAPPED_IN, MIB / PAGE_BYTES},
		  {COLUMN_SWW, VM_SWAPPED_OUT, MIB / PAGE_BYTES},
		  {COLUMN_ZIP, VM_ZIPPED, MIB / PAGE_BYTES},
		  {COLUMN_UNZIP, VM_UNZIPPED, MIB / PAGE_BYTES},
		  {COLUMN_SWPWT, VM_WAITED_NS, 1e7},
		  {COLUMN_GUEST_SWAP, VM_GUEST_SWAPPED_IN, MIB / PAGE_BYTES},
	  };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		columns[sizes[i].column] = (double)vm->values[sizes[i].field] / sizes[i].unit;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		columns[rates[i].column] =
			rate(vm, before, passed_ms, rates[i].field) / rates[i].unit;
	columns[COLUMN_GUEST_SWAP] +=
		rate(vm, before, passed_ms, VM_GUEST_SWAPPED_OUT) * PAGE_BYTES / MIB;
}

static bool is_on(const struct vm_sample *vm)
{
	return strcmp(vm->state, "running") == 0 || strcmp(vm->state, "starting") == 0;
}

double table_overcommit(const struct sample *s)
{
	double there = (double)s->host[HOST_MEMORY] - (double)s->host[HOST_HYPERVISOR], wanted = 0;

	for (size_t i = 0; i < s->vm_count; i++)
		wanted += is_on(&s->vms[i]) ? (double)s->vms[i].values[VM_MEMORY] : 0;
	return there > 0 ? wanted / there : 0;
}

const char *table_health(const struct sample *s)
{
	static const char *const grades[] = {"awesome", "good", "hmm", "oops"};
	size_t worst = 0;

	for (size_t i = 0; i < s->vm_count; i++) {
		for (size_t grade = worst + 1; grade < 4; grade++) {
			if (is_on(&s->vms[i]) && strcmp(s->vms[i].health, grades[grade]) == 0)
				worst = grade;
		}
	}
	return grades[worst];
}
