/*
 * A firmware that leaves the boot CPU's local APIC in x2APIC mode, as large machines' does: this
 * program stands where the loader is expected, switches the mode, and starts the loader in
 * \EFI\BOOT\BELLOWS.EFI.
 */
#include <efi.h>
#include <efilib.h>

#include "tests/emu/firmware/start_loader.h"

#define MSR_APIC_BASE      0x1b
#define APIC_BASE_X2APIC   0x400u
#define CPUID_1_ECX_X2APIC (1u << 21)

static BOOLEAN has_x2apic(void)
{
	UINT32 a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (c & CPUID_1_ECX_X2APIC) != 0;
}

static void x2apic_on(void)
{
	UINT32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
	__asm__ volatile("wrmsr" : : "c"(MSR_APIC_BASE), "a"(low | APIC_BASE_X2APIC), "d"(high));
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	InitializeLib(image, table);
	if (!has_x2apic()) {
		Print(L"this CPU has no x2APIC\n");
		return EFI_UNSUPPORTED;
	}
	x2apic_on();
	Print(L"x2APIC mode is on\n");
	return start_loader(image);
}
