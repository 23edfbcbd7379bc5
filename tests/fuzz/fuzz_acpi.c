/* SRCS: boot/bootacpi.c mm/base/err.c */
/*
 * Any bytes as physical memory full of ACPI tables: nothing outside it is read, and the list of
 * CPUs has no CPU twice. Checksums are made right first, or no input would ever get past them: the
 * input's first bytes name the tables to mend.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/bootacpi.h"

#define MEND_MAX 4

struct input_memory {
	struct bootacpi_memory memory;
	const u8 *bytes;
	size_t count;
};

static const void *at(const struct bootacpi_memory *memory, u64 pa, size_t bytes)
{
	const struct input_memory *m = container_of(memory, struct input_memory, memory);

	if (pa > m->count || bytes > m->count - pa)
		return NULL;
	return m->bytes + pa;
}

static void mend(u8 *ram, size_t bytes, size_t table, size_t length, size_t checksum_at)
{
	u8 sum = 0;

	if (table > bytes || length > bytes - table || checksum_at >= bytes)
		return;
	ram[checksum_at] = 0;
	for (size_t i = 0; i < length; i++)
		sum = (u8)(sum + ram[table + i]);
	ram[checksum_at] = (u8)-sum;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct boot_cpu cpus[16];
	struct bootacpi_cpus list = {.cpus = cpus, .room = ARRAY_COUNT(cpus)};
	struct input_memory m = {.memory.at = at};
	u8 *ram;

	if (bytes < MEND_MAX)
		return 0;
	m.count = bytes - MEND_MAX;
	m.bytes = ram = malloc(m.count ? m.count : 1);
	memcpy(ram, data + MEND_MAX, m.count);
	for (u32 i = 0; i < MEND_MAX; i++) {
		size_t table = (size_t)data[i] * 4;
		u32 length;

		if (table + 10 > m.count)
			continue;
		memcpy(&length, ram + table + 4, 4);
		mend(ram, m.count, table, length, table + 9);
	}
	mend(ram, m.count, 0, 20, 8);
	mend(ram, m.count, 0, 36, 32);
	if (bootacpi_list_cpus(&m.memory, 0, &list) == E_OK) {
		for (u32 i = 0; i < list.count; i++) {
			for (u32 j = 0; j < i; j++) {
				if (cpus[i].apic_id == cpus[j].apic_id)
					abort();
			}
		}
	}
	free(ram);
	return 0;
}
