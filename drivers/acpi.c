/*
 * The static tables, read byte-wise at the offsets that the ACPI specification gives ("ACPI System
 * Description Tables"), so that neither alignment nor a short, older revision of a table is ever an
 * assumption.
 */
#include "drivers/acpi.h"
#include "mm/base/str.h"

#define HEADER_BYTES 36
#define TABLE_MOST   MIB(4) /* larger is taken for damage */
#define ENTRY_MOST   1024u

static u64 get(const u8 *p, u32 bytes)
{
	u64 value = 0;

	for (u32 i = bytes; i-- > 0;)
		value = value << 8 | p[i];
	return value;
}

static bool sums_to_zero(const u8 *p, u64 bytes)
{
	u8 sum = 0;

	for (u64 i = 0; i < bytes; i++)
		sum += p[i];
	return sum == 0;
}

/* A table as mapped: NULL bytes if it is damaged or out of reach. */
struct table {
	const u8 *p;
	u32 bytes;
};

/* @bytes at @offset of a table, or 0 if the table is too short for it. */
static u64 field(const struct table *t, u32 offset, u32 bytes)
{
	return (u64)offset + bytes <= t->bytes ? get(t->p + offset, bytes) : 0;
}

static struct table table_open(u64 pa, acpi_map_fn map)
{
	struct table none = {NULL, 0}, t;

	t.p = pa ? map(pa, HEADER_BYTES) : NULL;
	if (!t.p)
		return none;
	t.bytes = (u32)get(t.p + 4, 4);
	if (t.bytes < HEADER_BYTES || t.bytes > TABLE_MOST)
		return none;
	t.p = map(pa, t.bytes);
	if (!t.p || !sums_to_zero(t.p, t.bytes))
		return none;
	return t;
}

static bool is(const struct table *t, const char *signature)
{
	return memcmp(t->p, signature, 4) == 0;
}

static struct acpi_register register_at(const struct table *t, u32 offset)
{
	struct acpi_register r = {0};

	if (offset + 12 > t->bytes)
		return r;
	r.space = t->p[offset];
	r.bits = t->p[offset + 1];
	r.address = get(t->p + offset + 4, 8);
	if (!r.address)
		r.bits = 0;
	return r;
}

/* An I/O port: in old tables at @short_at; in newer ones, which win, a register at @long_at. */
static u16 port_at(const struct table *t, u32 short_at, u32 long_at)
{
	struct acpi_register r = register_at(t, long_at);

	if (r.address && r.space == ACPI_IO && r.address <= 0xffff)
		return (u16)r.address;
	return (u16)field(t, short_at, 4);
}

static void parse_madt(const struct table *t, struct acpi_info *out)
{
	enum { LOCAL_APIC = 0, IO_APIC = 1, LOCAL_X2APIC = 9 };

	out->has_madt = true;
	for (u32 at = 44; at + 2 <= t->bytes;) {
		u8 type = t->p[at], bytes = t->p[at + 1];

		if (bytes < 2 || at + bytes > t->bytes)
			return;
		if (type == LOCAL_APIC && bytes >= 8)
			out->cpu_count += get(t->p + at + 4, 4) & 1;
		if (type == LOCAL_X2APIC && bytes >= 16)
			out->cpu_count += get(t->p + at + 8, 4) & 1;
		if (type == IO_APIC && bytes >= 12 && out->ioapic_count < ACPI_IOAPIC_MOST) {
			out->ioapics[out->ioapic_count++] = (struct acpi_ioapic){
				.id = t->p[at + 2],
				.pa = get(t->p + at + 4, 4),
				.gsi_base = (u32)get(t->p + at + 8, 4),
			};
		}
		at += bytes;
	}
}

/* An integer in a package: ZeroOp, OneOp, byte, word, dword. Its length in AML; 0: none. */
static u32 aml_integer(const u8 *p, const u8 *end, u8 *value)
{
	u32 bytes;

	if (p >= end)
		return 0;
	if (*p == 0x00 || *p == 0x01) {
		*value = *p;
		return 1;
	}
	bytes = *p == 0x0a ? 1 : *p == 0x0b ? 2 : *p == 0x0c ? 4 : 0;
	if (!bytes || end - p <= (s64)bytes)
		return 0;
	*value = p[1];
	return 1 + bytes;
}

/* Name (_S5_, Package () { a, b, ... }): NameOp "_S5_" PackageOp PkgLength NumElements a b. */
static void find_s5(const struct table *t, struct acpi_info *out)
{
	const u8 *end = t->p + t->bytes;

	for (const u8 *p = t->p + HEADER_BYTES; end - p > 8 && !out->has_s5; p++) {
		const u8 *body;
		u32 used;
		u8 a, b = 0;

		if (memcmp(p, "_S5_", 4) || p[4] != 0x12)
			continue;
		if (p[-1] != 0x08 && !(p[-1] == '\\' && p[-2] == 0x08))
			continue;
		body = p + 5 + 1 + (p[5] >> 6) +
		       1; /* PkgLength says its own length in its top bits */
		used = aml_integer(body, end, &a);
		if (!used)
			continue;
		aml_integer(body + used, end, &b);
		out->s5_a = a & 7;
		out->s5_b = b & 7;
		out->has_s5 = true;
	}
}

static void parse_fadt(const struct table *t, acpi_map_fn map, struct acpi_info *out)
{
	u32 flags = (u32)field(t, 112, 4);
	u64 dsdt_pa = field(t, 140, 8) ? field(t, 140, 8) : field(t, 40, 4);
	struct table dsdt = table_open(dsdt_pa, map);

	out->has_fadt = true;
	out->hw_reduced = flags >> 20 & 1;
	out->smi_command = (u16)field(t, 48, 4);
	out->acpi_enable = (u8)field(t, 52, 1);
	out->pm1a_control = port_at(t, 64, 172);
	out->pm1b_control = port_at(t, 68, 184);
	out->pm_timer_port = field(t, 91, 1) == 4 ? port_at(t, 76, 208) : 0;
	out->pm_timer_32bit = flags >> 8 & 1;
	if (out->hw_reduced) {
		out->pm1a_control = out->pm1b_control = out->pm_timer_port = 0;
		out->sleep_control = register_at(t, 244);
	}
	if (flags >> 10 & 1) {
		out->reset = register_at(t, 116);
		out->reset_value = (u8)field(t, 128, 1);
	}
	if (dsdt.p && is(&dsdt, "DSDT"))
		find_s5(&dsdt, out);
}

/* PCI Firmware Specification, "MCFG Table Description": 16 bytes for each range of buses. */
static void parse_mcfg(const struct table *t, struct acpi_info *out)
{
	for (u32 at = 44; at + 16 <= t->bytes && !out->mcfg_base; at += 16) {
		if (field(t, at + 8, 2) != 0)
			continue;
		out->mcfg_base = field(t, at, 8);
		out->mcfg_first_bus = (u8)field(t, at + 10, 1);
		out->mcfg_last_bus = (u8)field(t, at + 11, 1);
	}
}

static void parse_table(const struct table *t, acpi_map_fn map, struct acpi_info *out)
{
	if (is(t, "FACP") && !out->has_fadt)
		parse_fadt(t, map, out);
	else if (is(t, "APIC") && !out->has_madt)
		parse_madt(t, out);
	else if (is(t, "SPCR"))
		out->console = register_at(t, 40);
	else if (is(t, "MCFG") && !out->mcfg_base)
		parse_mcfg(t, out);
	else if (is(t, "SSDT"))
		find_s5(t, out);
}

/* Where the root table lies, and how wide its entries are; 0 if the RSDP is not one. */
static u64 root_address(u64 rsdp, acpi_map_fn map, u32 *entry_bytes)
{
	const u8 *p = map(rsdp, 20), *extended;

	*entry_bytes = 4;
	if (!p || memcmp(p, "RSD PTR ", 8) || !sums_to_zero(p, 20))
		return 0;
	extended = p[15] >= 2 ? map(rsdp, 36) : NULL;
	if (extended && sums_to_zero(extended, 36) && get(extended + 24, 8)) {
		*entry_bytes = 8;
		return get(extended + 24, 8);
	}
	return get(p + 16, 4);
}

err_t acpi_parse(u64 rsdp, acpi_map_fn map, struct acpi_info *out)
{
	struct table root;
	u32 entry_bytes, count;

	memset(out, 0, sizeof(*out));
	if (!rsdp)
		return E_NOTFOUND;
	root = table_open(root_address(rsdp, map, &entry_bytes), map);
	if (!root.p || !is(&root, entry_bytes == 8 ? "XSDT" : "RSDT"))
		return E_CORRUPT;
	out->has_tables = true;
	count = min((root.bytes - HEADER_BYTES) / entry_bytes, ENTRY_MOST);
	for (u32 i = 0; i < count; i++) {
		struct table t =
			table_open(get(root.p + HEADER_BYTES + i * entry_bytes, entry_bytes), map);

		if (t.p)
			parse_table(&t, map, out);
	}
	return 0;
}
