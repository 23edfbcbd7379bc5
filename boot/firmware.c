/*
 * The firmware's tables and console, and waiting.
 */
#include "boot/firmware.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#define LINE_BYTES 256

EFI_HANDLE firmware_image;
EFI_SYSTEM_TABLE *firmware_table;
EFI_BOOT_SERVICES *firmware_services;

void firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	firmware_image = image;
	firmware_table = table;
	firmware_services = table->BootServices;
	/* It would reset the machine five minutes on, in the middle of loading from a slow disk. */
	firmware_services->SetWatchdogTimer(0, 0, 0, NULL);
}

void firmware_say(const char *fmt, ...)
{
	char line[LINE_BYTES];
	CHAR16 wide[LINE_BYTES + 2];
	va_list args;
	u32 n = 0;

	va_start(args, fmt);
	fmt_vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	while (line[n]) {
		wide[n] = (u8)line[n] < 0x80 ? (CHAR16)line[n] : '?';
		n++;
	}
	wide[n++] = '\r';
	wide[n++] = '\n';
	wide[n] = 0;
	if (firmware_table->ConOut)
		firmware_table->ConOut->OutputString(firmware_table->ConOut, wide);
}

void firmware_wait(u32 seconds)
{
	EFI_EVENT events[2];
	UINTN count = 1, which;

	if (firmware_services->CreateEvent(EVT_TIMER, 0, NULL, NULL, &events[0]) != EFI_SUCCESS)
		return;
	/* The timer counts in 100 ns. */
	firmware_services->SetTimer(events[0], TimerRelative, (u64)seconds * 10000000);
	if (firmware_table->ConIn) {
		firmware_table->ConIn->Reset(firmware_table->ConIn, FALSE);
		events[count++] = firmware_table->ConIn->WaitForKey;
	}
	firmware_services->WaitForEvent(count, events, &which);
	firmware_services->CloseEvent(events[0]);
}

u64 firmware_config_table(const EFI_GUID *guid)
{
	for (UINTN i = 0; i < firmware_table->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &firmware_table->ConfigurationTable[i];

		if (memcmp(&t->VendorGuid, guid, sizeof(*guid)) == 0)
			return (u64)t->VendorTable;
	}
	return 0;
}

void *firmware_protocol(const EFI_GUID *guid)
{
	EFI_GUID copy = *guid;
	void *found = NULL;

	if (firmware_services->LocateProtocol(&copy, NULL, &found) != EFI_SUCCESS)
		return NULL;
	return found;
}
