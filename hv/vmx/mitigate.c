/*
 * What speculation can leak between VMs, and what is done about it where the CPU asks for it:
 *  - branch predictors: IBPB when another vCPU is loaded than ran here last;
 *  - L1 terminal fault: L1D is emptied on every entry with IA32_FLUSH_CMD; a CPU without that
 * microcode reads a buffer of its size through the cache when another vCPU is loaded, which is
 * less;
 *  - MDS, TAA, MMIO stale data, RFDS: VERW as the last thing before the entry.
 * SMT siblings share these structures while both run; that is not covered (README). Intel, "Deep
 * Dive: L1 Terminal Fault", "Microarchitectural Data Sampling"; SDM vol. 4, IA32_ARCH_CAPABILITIES.
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "hv/x86/paging.h"
#include "mm/base/log.h"

#define ARCH_CAP_SBDR_SSDP_NO (1ull << 13)
#define ARCH_CAP_FBSDP_NO     (1ull << 14)
#define ARCH_CAP_PSDP_NO      (1ull << 15)
#define ARCH_CAP_FB_CLEAR     (1ull << 17)
#define ARCH_CAP_RFDS_NO      (1ull << 27)
#define ARCH_CAP_RFDS_CLEAR   (1ull << 28)

#define L1D_BUFFER_BYTES KIB(64) /* twice the largest L1D that is affected: the cache isn't LRU */

u16 vmx_verw_selector; /* [I] a writable data segment, for VERW in entry.S */
static u8 *l1d_buffer; /* [I] */

static bool verw_is_needed(struct cpuid seven, u64 arch)
{
	bool md_clear = (seven.edx & BIT(10)) != 0, tsx = (seven.ebx & BIT(11)) != 0;
	u64 mmio_no = ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO;

	if (md_clear && !(arch & ARCH_CAP_MDS_NO))
		return true;
	if (md_clear && tsx && !(arch & ARCH_CAP_TAA_NO))
		return true;
	if ((arch & ARCH_CAP_FB_CLEAR) && (arch & mmio_no) != mmio_no)
		return true;
	return (arch & ARCH_CAP_RFDS_CLEAR) && !(arch & ARCH_CAP_RFDS_NO);
}

void vmx_mitigate_probe(void)
{
	struct cpuid seven = cpuid_or_zero(7, 0);
	u64 arch = 0;
	bool l1tf;

	if (!(seven.edx & BIT(29)) || rdmsr_safe(MSR_IA32_ARCH_CAPABILITIES, &arch) != E_OK)
		arch = 0;
	l1tf = !(arch & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL_VMENTRY));
	vmx_caps.ibpb = (seven.edx & BIT(26)) != 0;
	vmx_caps.l1d_flush_msr = l1tf && (seven.edx & BIT(28));
	vmx_caps.l1d_flush_loop = l1tf && !(seven.edx & BIT(28));
	vmx_caps.verw = verw_is_needed(seven, arch);
	vmx_verw_selector = read_ss();
	log_info(
		"VT-x: speculation: IBPB %s, L1D flush %s, buffers by VERW %s (ARCH_CAPABILITIES 0x%llx)",
		vmx_caps.ibpb ? "when the vCPU changes" : "not offered by this CPU",
		vmx_caps.l1d_flush_msr    ? "on entry"
		: vmx_caps.l1d_flush_loop ? "by reading, when the vCPU changes"
					  : "not needed",
		vmx_caps.verw ? "on entry" : "not needed or not offered", (unsigned long long)arch);
}

err_t vmx_mitigate_init(void)
{
	if (!vmx_caps.l1d_flush_loop)
		return E_OK;
	l1d_buffer = kmem_alloc(L1D_BUFFER_BYTES);
	return l1d_buffer ? E_OK : E_NOMEM;
}

static void l1d_flush_by_reading(void)
{
	const volatile u8 *p = l1d_buffer;
	u64 i;

	for (i = 0; i < L1D_BUFFER_BYTES; i += CACHE_LINE_BYTES)
		(void)p[i];
	__asm__ volatile("lfence" : : : "memory");
}

void vmx_mitigate_vcpu_loaded(struct vmx_cpu *cpu, const struct vmx_vcpu *vmx)
{
	if (cpu->last_serial == vmx->serial)
		return;
	cpu->last_serial = vmx->serial;
	if (vmx_caps.ibpb)
		wrmsr(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	if (vmx_caps.l1d_flush_loop)
		l1d_flush_by_reading();
}
