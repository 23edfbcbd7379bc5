/* SRCS: boot/firmware*.c boot/file.c boot/bootmap.c mm/base/fmt.c mm/base/err.c */
/*
 * The loader's dealings with the firmware, against a fake one: page allocation in a small arena, a
 * memory map whose key changes with every allocation, ExitBootServices() that refuses, files that
 * fail half way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/file.h"
#include "boot/firmware.h"

#define ARENA       0x10000000ull /* at this very address: the loader uses physical ones as pointers */
#define ARENA_PAGES 8192u
#define DESC_BYTES  48u

static struct {
	u8 used[ARENA_PAGES];
	u64 key;
	u32 fail_alloc_at; /* this many allocations on; 0: never */
	u32 refusals;      /* of ExitBootServices() */
	u32 map_growth;    /* descriptors that come about at each look at the map */
	u32 extra_descs;
	bool left;

	const char *content; /* of the one file */
	u64 content_bytes;
	u64 claimed_bytes, at, fail_at, max_read;
	u64 attribute;
	bool open;
	char said[4096];
} fake;

/* The firmware's side. */

static EFI_STATUS EFIAPI allocate_pages(
	EFI_ALLOCATE_TYPE how, EFI_MEMORY_TYPE type, UINTN count, EFI_PHYSICAL_ADDRESS *where)
{
	u64 run = 0;

	assert_false(fake.left);
	assert_int_equal(how, AllocateMaxAddress);
	assert_int_equal(type, EfiLoaderData);
	if (fake.fail_alloc_at && --fake.fail_alloc_at == 0)
		return EFI_OUT_OF_RESOURCES;
	/* Top down, as EDK II does. */
	for (u64 page = ARENA_PAGES; page-- > 0;) {
		bool below = ARENA + (page + 1) * PAGE_BYTES - 1 <= *where;

		run = below && !fake.used[page] ? run + 1 : 0;
		if (run < count)
			continue;
		memset(fake.used + page, 1, count);
		*where = ARENA + page * PAGE_BYTES;
		memset((void *)*where, 0xdd, count * PAGE_BYTES);
		fake.key++;
		return EFI_SUCCESS;
	}
	return EFI_OUT_OF_RESOURCES;
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS base, UINTN count)
{
	u64 page = (base - ARENA) / PAGE_BYTES;

	assert_true(base >= ARENA && page + count <= ARENA_PAGES && count > 0);
	for (u64 i = page; i < page + count; i++) {
		assert_int_equal(fake.used[i], 1);
		fake.used[i] = 0;
	}
	fake.key++;
	return EFI_SUCCESS;
}

static void put_desc(u8 *map, UINTN room, UINTN *bytes, u32 type, u64 base, u64 page_count)
{
	EFI_MEMORY_DESCRIPTOR d = {.Type = type,
		.PhysicalStart = base,
		.NumberOfPages = page_count,
		.Attribute = EFI_MEMORY_WB};

	if (*bytes + DESC_BYTES <= room)
		memcpy(map + *bytes, &d, sizeof(d));
	*bytes += DESC_BYTES;
}

static EFI_STATUS EFIAPI get_memory_map(
	UINTN *bytes, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *stride, UINT32 *version)
{
	UINTN room = map ? *bytes : 0;

	assert_false(fake.left);
	*bytes = 0;
	for (u32 from = 0, to; from < ARENA_PAGES; from = to) {
		for (to = from + 1; to < ARENA_PAGES && fake.used[to] == fake.used[from];)
			to++;
		put_desc((u8 *)map, room, bytes,
			fake.used[from] ? EfiLoaderData : EfiConventionalMemory,
			ARENA + from * PAGE_BYTES, to - from);
	}
	for (u32 i = 0; i < fake.extra_descs; i++)
		put_desc((u8 *)map, room, bytes, EfiReservedMemoryType, GIB(2) + i * MIB(1), 1);
	fake.extra_descs += fake.map_growth;
	*stride = DESC_BYTES;
	*version = 1;
	*key = fake.key;
	return *bytes <= room ? EFI_SUCCESS : EFI_BUFFER_TOO_SMALL;
}

static EFI_STATUS EFIAPI exit_boot_services(EFI_HANDLE image, UINTN key)
{
	assert_ptr_equal(image, (void *)0x1234);
	if (key != fake.key)
		return EFI_INVALID_PARAMETER;
	if (fake.refusals) {
		fake.refusals--;
		fake.key++; /* an event handler allocated something */
		return EFI_INVALID_PARAMETER;
	}
	fake.left = true;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI set_watchdog_timer(UINTN timeout, UINT64 code, UINTN bytes, CHAR16 *data)
{
	(void)code;
	(void)bytes;
	(void)data;
	assert_int_equal(timeout, 0);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI output_string(SIMPLE_TEXT_OUTPUT_INTERFACE *out, CHAR16 *text)
{
	size_t n = strlen(fake.said);

	(void)out;
	assert_false(fake.left);
	for (; *text && n + 1 < sizeof(fake.said); text++)
		fake.said[n++] = (char)*text;
	fake.said[n] = '\0';
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_read(EFI_FILE_HANDLE file, UINTN *bytes, void *to)
{
	(void)file;
	if (fake.at >= fake.fail_at)
		return EFI_DEVICE_ERROR;
	*bytes = min(min((u64)*bytes, fake.max_read), fake.content_bytes - fake.at);
	memcpy(to, fake.content + fake.at, *bytes);
	fake.at += *bytes;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_info(EFI_FILE_HANDLE file, EFI_GUID *what, UINTN *room, void *answer)
{
	EFI_FILE_INFO *info = answer;

	(void)file;
	(void)what;
	assert_true(*room >= sizeof(*info));
	info->FileSize = fake.claimed_bytes;
	info->Attribute = fake.attribute;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_close(EFI_FILE_HANDLE file)
{
	(void)file;
	assert_true(fake.open);
	fake.open = false;
	return EFI_SUCCESS;
}

static EFI_FILE one_file = {.Read = file_read, .GetInfo = file_info, .Close = file_close};

static EFI_STATUS EFIAPI file_open(
	EFI_FILE_HANDLE root, EFI_FILE_HANDLE *file, CHAR16 *name, UINT64 mode, UINT64 attributes)
{
	(void)root;
	(void)attributes;
	assert_int_equal(mode, EFI_FILE_MODE_READ);
	if (name[0] != '\\' || name[1] != 'f' || name[2] != 0)
		return EFI_NOT_FOUND;
	fake.open = true;
	*file = &one_file;
	return EFI_SUCCESS;
}

static EFI_FILE root_directory = {.Open = file_open};

static EFI_STATUS EFIAPI open_volume(EFI_FILE_IO_INTERFACE *volume, EFI_FILE_HANDLE *root)
{
	(void)volume;
	*root = &root_directory;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, EFI_GUID *guid, void **interface)
{
	static EFI_FILE_IO_INTERFACE volume = {.OpenVolume = open_volume};
	static EFI_LOADED_IMAGE image = {.DeviceHandle = (void *)0x5678};

	(void)guid;
	*interface = handle == image.DeviceHandle ? (void *)&volume : (void *)&image;
	return EFI_SUCCESS;
}

static EFI_BOOT_SERVICES services = {
	.AllocatePages = allocate_pages,
	.FreePages = free_pages,
	.GetMemoryMap = get_memory_map,
	.ExitBootServices = exit_boot_services,
	.SetWatchdogTimer = set_watchdog_timer,
	.HandleProtocol = handle_protocol,
};
static SIMPLE_TEXT_OUTPUT_INTERFACE screen = {.OutputString = output_string};
static EFI_SYSTEM_TABLE table = {.BootServices = &services, .ConOut = &screen};

/* The tests. What the loader remembers of its memory lasts, so each gives back what it took. */

static int begin(void **state)
{
	static char content[3 * 4096 + 5];

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)random();
	fake.fail_alloc_at = fake.refusals = fake.map_growth = fake.extra_descs = 0;
	fake.left = fake.open = false;
	fake.content = content;
	fake.content_bytes = fake.claimed_bytes = sizeof(content);
	fake.at = fake.attribute = 0;
	fake.fail_at = fake.max_read = ~0ull;
	fake.said[0] = '\0';
	firmware_init((void *)0x1234, &table);
	assert_int_equal(file_open_partition(), EFI_SUCCESS);
	return 0;
}

static u64 used_pages(void)
{
	u64 n = 0;

	for (u32 i = 0; i < ARENA_PAGES; i++)
		n += fake.used[i];
	return n;
}

static u32 kind_at(u64 pa)
{
	struct boot_region *regions;
	u32 count;

	assert_int_equal(firmware_regions(&regions, &count), E_OK);
	for (u32 i = 0; i < count; i++) {
		if (pa >= regions[i].base && pa - regions[i].base < regions[i].bytes)
			return regions[i].kind;
	}
	return 0;
}

static void memory_comes_zeroed_aligned_and_below_its_bound(void **state)
{
	static const u64 aligns[] = {KIB(4), KIB(64), MIB(2)};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(aligns); i++) {
		u64 before = used_pages(), below = ARENA + MIB(20) + KIB(12);
		u64 base = firmware_alloc(10000, aligns[i], below, BOOT_REGION_IMAGE);

		assert_true(base >= ARENA && base + 3 * PAGE_BYTES <= below);
		assert_true(IS_ALIGNED(base, aligns[i]));
		assert_int_equal(used_pages(), before + 3);
		for (u64 at = 0; at < 3 * PAGE_BYTES; at++)
			assert_int_equal(((u8 *)base)[at], 0);
		assert_int_equal(kind_at(base), BOOT_REGION_IMAGE);
		before = used_pages();
		firmware_free(base);
		assert_int_equal(used_pages(), before - 3);
		assert_int_equal(kind_at(base), BOOT_REGION_FREE);
	}
	assert_int_equal(firmware_alloc(MIB(64), PAGE_BYTES, GIB(4), BOOT_REGION_FILES), 0);
	assert_int_equal(firmware_alloc(1, PAGE_BYTES, ARENA, BOOT_REGION_FILES), 0);
	assert_int_equal(firmware_alloc(0, PAGE_BYTES, GIB(4), BOOT_REGION_FILES), 0);
}

static void a_changed_map_is_read_again_until_the_firmware_lets_go(void **state)
{
	struct boot_region *regions;
	u64 base = firmware_alloc(1, PAGE_BYTES, GIB(4), BOOT_REGION_TRAMPOLINE);
	u32 count;

	(void)state;
	fake.refusals = 5;
	fake.map_growth = 3;
	assert_int_equal(firmware_leave(&regions, &count), E_OK);
	assert_true(fake.left);
	for (u32 i = 0; i < count; i++) {
		if (regions[i].kind == BOOT_REGION_TRAMPOLINE)
			assert_true(regions[i].base == base);
	}
	/* The last region is the last that came about: the map is that of the last look. */
	assert_true(regions[count - 1].base >= GIB(2) + 5 * 3 * MIB(1));
	fake.left = false;
	firmware_free(base);
}

static void a_firmware_that_never_lets_go_is_given_up(void **state)
{
	struct boot_region *regions;
	u32 count;

	(void)state;
	fake.refusals = 1000;
	assert_int_equal(firmware_leave(&regions, &count), E_IO);
	assert_false(fake.left);
	fake.refusals = 0;
	fake.map_growth = 1000; /* outgrows the buffer */
	assert_int_equal(firmware_regions(&regions, &count), E_OK);
	assert_int_equal(firmware_leave(&regions, &count), E_IO);
	assert_false(fake.left);
}

static void load_fails(const char *path, u64 status)
{
	struct boot_file file = {0};
	u64 before = used_pages();

	fake.said[0] = '\0';
	fake.at = 0;
	file_load(path, &file);
	assert_true(file.efi_status == status);
	assert_int_equal(file.base, 0);
	assert_int_equal(file.bytes, 0);
	assert_int_equal(used_pages(), before);
	assert_false(fake.open);
	assert_non_null(strstr(fake.said, "cannot load "));
	assert_non_null(strstr(fake.said, file_status_name(status)));
}

static void files_are_read_whole_however_small_the_pieces(void **state)
{
	static const u64 pieces[] = {1, 511, 4096, ~0ull};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
		struct boot_file file = {.efi_status = 77};

		fake.max_read = pieces[i];
		fake.at = 0;
		file_load("\\f", &file);
		assert_int_equal(file.efi_status, 0);
		assert_int_equal(file.bytes, fake.content_bytes);
		assert_memory_equal((void *)file.base, fake.content, file.bytes);
		assert_int_equal(kind_at(file.base), BOOT_REGION_FILES);
		assert_non_null(strstr(fake.said, "loading \\f 12.0 KiB"));
		firmware_free(file.base);
	}
}

static void files_that_cannot_be_read_leave_nothing_behind(void **state)
{
	(void)state;
	load_fails("\\g", EFI_NOT_FOUND);
	fake.attribute = EFI_FILE_DIRECTORY;
	load_fails("\\f", EFI_INVALID_PARAMETER);
	fake.attribute = 0;
	fake.claimed_bytes = 0;
	load_fails("\\f", EFI_END_OF_FILE);
	fake.claimed_bytes = GIB(1);
	load_fails("\\f", EFI_OUT_OF_RESOURCES);
	fake.claimed_bytes = ~0ull;
	load_fails("\\f", EFI_OUT_OF_RESOURCES);
	fake.claimed_bytes = fake.content_bytes + 1;
	load_fails("\\f", EFI_VOLUME_CORRUPTED);
	fake.claimed_bytes = fake.content_bytes;
	fake.max_read = 4096;
	fake.fail_at = 8192;
	load_fails("\\f", EFI_DEVICE_ERROR);
}

static void memory_that_runs_out_is_an_error_at_every_allocation(void **state)
{
	struct boot_region *regions;
	u32 count, n = 0;
	err_t err;

	(void)state;
	fake.fail_alloc_at = 1;
	load_fails("\\f", EFI_OUT_OF_RESOURCES);
	do {
		firmware_free_all();
		fake.fail_alloc_at = ++n;
		err = firmware_regions(&regions, &count);
		assert_true(err == E_OK || err == E_NOMEM);
	} while (err);
	assert_int_equal(n, 4);
}

static void going_back_to_the_firmware_leaves_nothing_behind(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		assert_true(firmware_alloc(PAGE_BYTES * i + 1, MIB(2), GIB(4), BOOT_REGION_FILES));
	assert_int_equal(kind_at(0), 0);
	assert_true(used_pages() > 0);
	firmware_free_all();
	assert_int_equal(used_pages(), 0);
}

#define TEST(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_comes_zeroed_aligned_and_below_its_bound),
		TEST(a_changed_map_is_read_again_until_the_firmware_lets_go),
		TEST(files_are_read_whole_however_small_the_pieces),
		TEST(files_that_cannot_be_read_leave_nothing_behind),
		TEST(memory_that_runs_out_is_an_error_at_every_allocation),
		TEST(a_firmware_that_never_lets_go_is_given_up),
		TEST(going_back_to_the_firmware_leaves_nothing_behind),
	};
	void *arena = mmap((void *)ARENA, ARENA_PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (arena != (void *)ARENA)
		return 1;
	return cmocka_run_group_tests_name("unit/bootfirmware", tests, NULL, NULL);
}
