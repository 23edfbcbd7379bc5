/* How a program that stands where the loader is expected goes on to the loader itself. */
#ifndef TESTS_EMU_FIRMWARE_START_LOADER_H
#define TESTS_EMU_FIRMWARE_START_LOADER_H

#include <efi.h>
#include <efilib.h>

static EFI_STATUS start_loader(EFI_HANDLE image)
{
	EFI_LOADED_IMAGE *self;
	EFI_HANDLE loader;
	EFI_STATUS status;

	status = uefi_call_wrapper(
		BS->HandleProtocol, 3, image, &LoadedImageProtocol, (void **)&self);
	if (EFI_ERROR(status))
		return status;
	status = uefi_call_wrapper(BS->LoadImage, 6, FALSE, image,
		FileDevicePath(self->DeviceHandle, L"\\EFI\\BOOT\\BELLOWS.EFI"), NULL, 0, &loader);
	if (EFI_ERROR(status))
		return status;
	return uefi_call_wrapper(BS->StartImage, 3, loader, NULL, NULL);
}

#endif
