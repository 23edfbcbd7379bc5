/*
 * Reading files through the firmware's FAT driver, in pieces: some firmware fails on very long
 * reads, and a slow disk should show that it moves.
 */
#include "boot/file.h"
#include "boot/bootconf.h"
#include "boot/firmware.h"
#include "mm/base/str.h"

#define CHUNK_BYTES     MIB(4)
#define SAY_EVERY_BYTES MIB(64)

static EFI_FILE_HANDLE root;

EFI_STATUS file_open_partition(void)
{
	static EFI_GUID image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
	static EFI_GUID volume_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
	EFI_FILE_IO_INTERFACE *volume;
	EFI_LOADED_IMAGE *image;
	EFI_STATUS status;

	status = firmware_services->HandleProtocol(firmware_image, &image_guid, (void **)&image);
	if (EFI_ERROR(status))
		return status;
	/* Started over a network there may be no device. */
	if (!image->DeviceHandle)
		return EFI_NO_MEDIA;
	status = firmware_services->HandleProtocol(
		image->DeviceHandle, &volume_guid, (void **)&volume);
	if (EFI_ERROR(status))
		return status;
	return volume->OpenVolume(volume, &root);
}

static EFI_STATUS open_file(const char *path, EFI_FILE_HANDLE *handle)
{
	CHAR16 wide[BOOTCONF_PATH_BYTES];
	u32 n = 0;

	for (; path[n] && n + 1 < ARRAY_COUNT(wide); n++)
		wide[n] = (CHAR16)path[n];
	wide[n] = 0;
	return root->Open(root, handle, wide, EFI_FILE_MODE_READ, 0);
}

static EFI_STATUS file_bytes(EFI_FILE_HANDLE handle, u64 *bytes)
{
	static EFI_GUID info_guid = EFI_FILE_INFO_ID;
	/* The structure ends in the file's name: up to 255 characters and a NUL on FAT. */
	static union {
		EFI_FILE_INFO info;
		u8 room[sizeof(EFI_FILE_INFO) + 256 * sizeof(CHAR16)];
	} answer;
	UINTN room = sizeof(answer);
	EFI_STATUS status = handle->GetInfo(handle, &info_guid, &room, &answer);

	if (EFI_ERROR(status))
		return status;
	if (answer.info.Attribute & EFI_FILE_DIRECTORY)
		return EFI_INVALID_PARAMETER;
	*bytes = answer.info.FileSize;
	return *bytes == 0 ? EFI_END_OF_FILE : EFI_SUCCESS;
}

static EFI_STATUS read_all(EFI_FILE_HANDLE handle, const char *path, u64 base, u64 bytes)
{
	for (u64 at = 0; at < bytes;) {
		UINTN n = min(CHUNK_BYTES, bytes - at);
		EFI_STATUS status = handle->Read(handle, &n, (void *)(base + at));

		if (EFI_ERROR(status))
			return status;
		if (n == 0)
			return EFI_VOLUME_CORRUPTED; /* the directory promised more */
		at += n;
		if (at % SAY_EVERY_BYTES == 0 && at < bytes)
			firmware_say("  %s: %lu of %lu MiB", path, at >> 20, bytes >> 20);
	}
	return EFI_SUCCESS;
}

static void say_loading(const char *path, u64 bytes)
{
	if (bytes < MIB(1))
		firmware_say(
			"loading %s %lu.%lu KiB", path, bytes >> 10, (bytes % KIB(1)) * 10 >> 10);
	else
		firmware_say(
			"loading %s %lu.%lu MiB", path, bytes >> 20, (bytes % MIB(1)) * 10 >> 20);
}

static EFI_STATUS load(EFI_FILE_HANDLE handle, const char *path, struct boot_file *file)
{
	EFI_STATUS status = file_bytes(handle, &file->bytes);

	if (EFI_ERROR(status))
		return status;
	say_loading(path, file->bytes);
	file->base = firmware_alloc(file->bytes, PAGE_BYTES, BOOTMAP_TOP, BOOT_REGION_FILES);
	if (!file->base)
		return EFI_OUT_OF_RESOURCES;
	status = read_all(handle, path, file->base, file->bytes);
	if (EFI_ERROR(status))
		firmware_free(file->base);
	return status;
}

void file_load(const char *path, struct boot_file *file)
{
	EFI_FILE_HANDLE handle;
	EFI_STATUS status = open_file(path, &handle);

	if (!EFI_ERROR(status)) {
		status = load(handle, path, file);
		handle->Close(handle);
	}
	file->efi_status = status;
	if (EFI_ERROR(status)) {
		file->base = file->bytes = 0;
		firmware_say("cannot load %s: %s", path, file_status_name(status));
	}
}

const char *file_status_name(u64 status)
{
	switch (status) {
	case EFI_SUCCESS:
		return "no error";
	case EFI_NOT_FOUND:
		return "no such file";
	case EFI_OUT_OF_RESOURCES:
		return "not enough memory";
	case EFI_DEVICE_ERROR:
		return "the disk reports an error";
	case EFI_VOLUME_CORRUPTED:
		return "the file system is damaged";
	case EFI_NO_MEDIA:
	case EFI_MEDIA_CHANGED:
		return "no medium";
	case EFI_INVALID_PARAMETER:
		return "not a file";
	case EFI_END_OF_FILE:
		return "the file is empty";
	case EFI_ACCESS_DENIED:
		return "access denied";
	case EFI_UNSUPPORTED:
		return "not supported by the firmware";
	default:
		return "firmware error";
	}
}
