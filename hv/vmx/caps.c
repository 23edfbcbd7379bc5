/*
 * What this CPU's VT-x can do, and the control words that follow from it. Every control is adjusted
 * by its capability MSR: bits that must be 1 are set, bits that cannot be 1 are refused (needed) or
 * left out (wanted). Read once on the boot CPU; every other CPU must offer the same. SDM vol. 3D,
 * appendix "VMX Capability Reporting Facility"; vol. 3C, "Discovering Support for VMX", "Enabling
 * and Entering VMX Operation".
 */
#include "hv/vmx/vmx.h"
#include "hv/x86/insn.h"
#include "hv/x86/msr.h"
#include "mm/base/fmt.h"
#include "mm/base/log.h"

struct vmx_caps vmx_caps;

struct control_bit {
	u32 bit;
	bool needed;
	const char *name;
};

struct control_word {
	const char *name;
	u32 msr, true_msr; /* 0: there is no "true" one */
	u32 *out;
	const struct control_bit *bits;
	u32 bit_count;
};

static const struct control_bit pin_bits[] = {
	{PIN_EXTERNAL_INTERRUPT, true, "external-interrupt exiting"},
	{PIN_NMI, true, "NMI exiting"},
	{PIN_VIRTUAL_NMIS, true, "virtual NMIs"},
	{PIN_PREEMPTION_TIMER, false, "VMX-preemption timer"},
};

static const struct control_bit proc_bits[] = {
	{PROC_TSC_OFFSET, true, "TSC offsetting"},
	{PROC_HLT, true, "HLT exiting"},
	{PROC_MWAIT, true, "MWAIT exiting"},
	{PROC_RDPMC, true, "RDPMC exiting"},
	{PROC_TPR_SHADOW, true, "TPR shadow"},
	{PROC_MOV_DR, true, "MOV-DR exiting"},
	{PROC_IO_BITMAPS, true, "I/O bitmaps"},
	{PROC_MSR_BITMAPS, true, "MSR bitmaps"},
	{PROC_MONITOR, true, "MONITOR exiting"},
	{PROC_SECONDARY, true, "secondary controls"},
};

/* Offered, but set only while a window is asked for. */
#define PROC_WINDOWS (PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW)
/* CPUs without "true" controls force these on: no use to us, for every CR3 access would exit. */
#define PROC_UNWANTED                                                                              \
	(PROC_CR3_LOAD | PROC_CR3_STORE | PROC_INVLPG | PROC_CR8_LOAD | PROC_CR8_STORE)

static const struct control_bit proc2_bits[] = {
	{PROC2_EPT, true, "EPT"},
	{PROC2_VPID, true, "VPID"},
	{PROC2_UNRESTRICTED, true, "unrestricted guest"},
	{PROC2_WBINVD, true, "WBINVD exiting"},
	{PROC2_RDTSCP, false, "enable RDTSCP"},
	{PROC2_INVPCID, false, "enable INVPCID"},
	{PROC2_XSAVES, false, "enable XSAVES"},
	{PROC2_PAUSE_LOOP, false, "PAUSE-loop exiting"},
};

static const struct control_bit exit_bits[] = {
	{EXITCTL_SAVE_DEBUG, true, "save debug controls"},
	{EXITCTL_HOST_64, true, "host address-space size"},
	{EXITCTL_ACK_INTERRUPT, true, "acknowledge interrupt on exit"},
	{EXITCTL_SAVE_PAT, true, "save IA32_PAT"},
	{EXITCTL_LOAD_PAT, true, "load IA32_PAT on exit"},
	{EXITCTL_SAVE_EFER, true, "save IA32_EFER"},
	{EXITCTL_LOAD_EFER, true, "load IA32_EFER on exit"},
};

/* ENTRYCTL_IA32E follows EFER.LMA. */
static const struct control_bit entry_bits[] = {
	{ENTRYCTL_LOAD_DEBUG, true, "load debug controls"},
	{ENTRYCTL_LOAD_PAT, true, "load IA32_PAT"},
	{ENTRYCTL_LOAD_EFER, true, "load IA32_EFER"},
};

static const struct control_word control_words[] = {
	{"pin-based", MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS, &vmx_caps.pin,
		pin_bits, ARRAY_COUNT(pin_bits)},
	{"processor-based", MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
		&vmx_caps.proc, proc_bits, ARRAY_COUNT(proc_bits)},
	{"secondary", MSR_IA32_VMX_PROCBASED_CTLS2, 0, &vmx_caps.proc2, proc2_bits,
		ARRAY_COUNT(proc2_bits)},
	{"exit", MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS, &vmx_caps.exit, exit_bits,
		ARRAY_COUNT(exit_bits)},
	{"entry", MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS, &vmx_caps.entry,
		entry_bits, ARRAY_COUNT(entry_bits)},
};

static const struct {
	u64 bit;
	const char *name;
} ept_needed[] = {
	{EPTCAP_4_LEVEL, "EPT with 4 levels"},
	{EPTCAP_WRITE_BACK, "write-back EPT structures"},
	{EPTCAP_2M_PAGES, "2 MiB EPT pages"},
	{EPTCAP_INVEPT, "INVEPT"},
	{EPTCAP_INVEPT_SINGLE, "single-context INVEPT"},
	{EPTCAP_INVEPT_ALL, "all-context INVEPT"},
	{EPTCAP_INVVPID, "INVVPID"},
	{EPTCAP_INVVPID_SINGLE, "single-context INVVPID"},
	{EPTCAP_INVVPID_ALL, "all-context INVVPID"},
};

/* Compose one control word. E_UNSUPPORTED names the first needed bit that cannot be set. */
static err_t control_word_read(const struct control_word *w, char *why, size_t why_bytes)
{
	bool use_true = w->true_msr && (vmx_caps.basic & BASIC_TRUE_CONTROLS);
	u64 cap = rdmsr(use_true ? w->true_msr : w->msr);
	u32 must = (u32)cap, may = (u32)(cap >> 32), value = must;
	u32 i;

	for (i = 0; i < w->bit_count; i++) {
		const struct control_bit *b = &w->bits[i];

		if (may & b->bit) {
			value |= b->bit;
		} else if (b->needed) {
			fmt_snprintf(why, why_bytes,
				"this CPU's VT-x lacks \"%s\" (%s controls), which Bellows needs",
				b->name, w->name);
			return E_UNSUPPORTED;
		}
	}
	*w->out = value;
	return E_OK;
}

static err_t check_proc(char *why, size_t why_bytes)
{
	u64 cap = rdmsr((vmx_caps.basic & BASIC_TRUE_CONTROLS) ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS
							       : MSR_IA32_VMX_PROCBASED_CTLS);

	if ((u32)cap & PROC_UNWANTED) {
		fmt_snprintf(why, why_bytes,
			"this CPU's VT-x forces exits on CR3, CR8 or INVLPG (0x%x), which Bellows does not handle",
			(u32)cap & PROC_UNWANTED);
		return E_UNSUPPORTED;
	}
	if ((~(u32)(cap >> 32)) & PROC_WINDOWS) {
		fmt_snprintf(why, why_bytes,
			"this CPU's VT-x lacks interrupt-window or NMI-window exiting");
		return E_UNSUPPORTED;
	}
	return E_OK;
}

static err_t check_ept(char *why, size_t why_bytes)
{
	u32 i;

	vmx_caps.ept_vpid = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	for (i = 0; i < ARRAY_COUNT(ept_needed); i++) {
		if (!(vmx_caps.ept_vpid & ept_needed[i].bit)) {
			fmt_snprintf(why, why_bytes,
				"this CPU's VT-x lacks %s, which Bellows needs",
				ept_needed[i].name);
			return E_UNSUPPORTED;
		}
	}
	return E_OK;
}

static err_t check_cpuid_and_firmware(char *why, size_t why_bytes)
{
	u64 control;

	if (!(cpuid(1).ecx & BIT(5))) {
		fmt_snprintf(why, why_bytes,
			"this CPU shows no VT-x (CPUID.1:ECX.VMX is 0): if it is an Intel CPU, switch on \"Intel "
			"Virtualization Technology\" (VT-x, VMX) in the firmware's setup");
		return E_UNSUPPORTED;
	}
	if (rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &control) != E_OK)
		control = 0; /* then it isn't locked either */
	if ((control & FEATURE_CONTROL_LOCKED) && !(control & FEATURE_CONTROL_VMX_OUTSIDE_SMX)) {
		fmt_snprintf(why, why_bytes,
			"VT-x is locked off by the firmware (IA32_FEATURE_CONTROL is 0x%llx): switch on \"Intel "
			"Virtualization Technology\" (VT-x, VMX) in its setup",
			(unsigned long long)control);
		return E_UNSUPPORTED;
	}
	return E_OK;
}

static err_t check_basic(char *why, size_t why_bytes)
{
	vmx_caps.basic = rdmsr(MSR_IA32_VMX_BASIC);
	if (BASIC_MEMORY_TYPE(vmx_caps.basic) != 6 ||
		BASIC_REGION_BYTES(vmx_caps.basic) > PAGE_BYTES) {
		fmt_snprintf(why, why_bytes,
			"this CPU's VMCS is not write-back or larger than a page (IA32_VMX_BASIC is 0x%llx)",
			(unsigned long long)vmx_caps.basic);
		return E_UNSUPPORTED;
	}
	return E_OK;
}

static void read_details(void)
{
	struct cpuid width = cpuid_or_zero(0x80000008, 0);

	vmx_caps.cr0_fixed0 = rdmsr(MSR_IA32_VMX_CR0_FIXED0);
	vmx_caps.cr0_fixed1 = rdmsr(MSR_IA32_VMX_CR0_FIXED1);
	vmx_caps.cr4_fixed0 = rdmsr(MSR_IA32_VMX_CR4_FIXED0);
	vmx_caps.cr4_fixed1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	vmx_caps.timer = (vmx_caps.pin & PIN_PREEMPTION_TIMER) != 0;
	vmx_caps.timer_shift = MISC_TIMER_SHIFT(rdmsr(MSR_IA32_VMX_MISC));
	vmx_caps.accessed_dirty = (vmx_caps.ept_vpid & EPTCAP_ACCESSED_DIRTY) != 0;
	vmx_caps.string_io_info = (vmx_caps.basic & BASIC_STRING_IO_INFO) != 0;
	vmx_caps.xsaves = (vmx_caps.proc2 & PROC2_XSAVES) != 0;
	vmx_caps.physical_bits = (u8)width.eax ? (u8)width.eax : 36;
}

err_t vmx_probe(char *why, size_t why_bytes)
{
	err_t err = check_cpuid_and_firmware(why, why_bytes);
	u32 i;

	if (err == E_OK)
		err = check_basic(why, why_bytes);
	for (i = 0; err == E_OK && i < ARRAY_COUNT(control_words); i++) {
		err = control_word_read(&control_words[i], why, why_bytes);
		/* The secondary word's MSR is there only if the primary one offers it. */
		if (err == E_OK && control_words[i].out == &vmx_caps.proc)
			err = check_proc(why, why_bytes);
	}
	if (err == E_OK)
		err = check_ept(why, why_bytes);
	if (err != E_OK)
		return err;
	read_details();
	return E_OK;
}

static bool word_fits(const struct control_word *w)
{
	bool use_true = w->true_msr && (vmx_caps.basic & BASIC_TRUE_CONTROLS);
	u64 cap = rdmsr(use_true ? w->true_msr : w->msr);

	return ((u32)cap & ~*w->out) == 0 && (*w->out & ~(u32)(cap >> 32)) == 0;
}

err_t vmx_caps_check_cpu(void)
{
	char why[200];
	u32 i;

	if (check_cpuid_and_firmware(why, sizeof(why)) != E_OK) {
		log_error("VT-x: %s", why);
		return E_UNSUPPORTED;
	}
	if (rdmsr(MSR_IA32_VMX_BASIC) != vmx_caps.basic ||
		(vmx_caps.ept_vpid & ~rdmsr(MSR_IA32_VMX_EPT_VPID_CAP))) {
		log_error("VT-x: this CPU's capabilities differ from the boot CPU's");
		return E_UNSUPPORTED;
	}
	for (i = 0; i < ARRAY_COUNT(control_words); i++) {
		if (!word_fits(&control_words[i])) {
			log_error("VT-x: this CPU does not take the boot CPU's %s controls",
				control_words[i].name);
			return E_UNSUPPORTED;
		}
	}
	return E_OK;
}
