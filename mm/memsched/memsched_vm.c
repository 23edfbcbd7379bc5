/* What may be said of a VM: see memsched_vm.h. */
#include "mm/memsched/memsched_vm.h"
#include "mm/base/fmt.h"

static unsigned long long mib(u64 pages)
{
	return pages >> (20 - PAGE_SHIFT);
}

err_t mem_claims_check(const struct mem_claims *c, char *why, size_t why_bytes)
{
	if (c->memory == 0 || c->memory > MEM_PAGES_MAX)
		fmt_snprintf(why, why_bytes, "its memory is %llu MiB; allowed is up to %llu",
			mib(c->memory), mib(MEM_PAGES_MAX));
	else if (c->reservation > c->memory)
		fmt_snprintf(why, why_bytes,
			"its reservation is %llu MiB; allowed is up to its memory of %llu",
			mib(c->reservation), mib(c->memory));
	else if (c->limit < c->reservation || c->limit > c->memory)
		fmt_snprintf(why, why_bytes,
			"its limit is %llu MiB; allowed is from its reservation (%llu) to its memory (%llu)",
			mib(c->limit), mib(c->reservation), mib(c->memory));
	else if (c->shares == 0 || c->shares > MEM_SHARES_MAX)
		fmt_snprintf(why, why_bytes, "it has %llu shares; allowed is from 1 to %u",
			(unsigned long long)c->shares, MEM_SHARES_MAX);
	else
		return E_OK;
	return E_INVAL;
}
