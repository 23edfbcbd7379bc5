/* The walk: one loop over levels that differ in entry size, index bits, and large pages. */
#include "hv/memory/guest_walk.h"

#define CR0_WP    BIT(16)
#define CR0_PG    BIT(31)
#define CR4_PSE   BIT(4)
#define CR4_PAE   BIT(5)
#define CR4_LA57  BIT(12)
#define CR4_SMEP  BIT(20)
#define CR4_SMAP  BIT(21)
#define EFER_LMA  BIT(10)
#define EFER_NXE  BIT(11)
#define RFLAGS_AC BIT(18)

#define PTE_P       BIT(0)
#define PTE_W       BIT(1)
#define PTE_U       BIT(2)
#define PTE_A       BIT(5)
#define PTE_D       BIT(6)
#define PTE_PS      BIT(7)
#define PTE_NX      BIT(63)
#define PTE_ADDRESS 0x000ffffffffff000ull

/* What the levels passed so far allow. */
struct rights {
	bool write, user, no_exec;
};

static bool allowed(const struct guest_walk *walk, u32 access, const struct rights *rights)
{
	const struct virt_sregs *s = walk->sregs;
	bool user = access & WALK_USER;

	if (user && !rights->user)
		return false;
	if (access & WALK_FETCH)
		return !rights->no_exec && (user || !rights->user || !(s->cr4 & CR4_SMEP));
	if (!user && rights->user && (s->cr4 & CR4_SMAP) && !(walk->rflags & RFLAGS_AC))
		return false;
	if ((access & WALK_WRITE) && !rights->write)
		return !user && !(s->cr0 & CR0_WP);
	return true;
}

static u32 fault_code(const struct guest_walk *walk, u32 access, bool present)
{
	const struct virt_sregs *s = walk->sregs;
	bool fetch_shown = (s->cr4 & CR4_SMEP) || ((s->efer & EFER_NXE) && (s->cr4 & CR4_PAE));

	return (present ? PF_PRESENT : 0) | (access & WALK_WRITE ? PF_WRITE : 0) |
	       (access & WALK_USER ? PF_USER : 0) |
	       ((access & WALK_FETCH) && fetch_shown ? PF_FETCH : 0);
}

/* Where an entry lies, and what it holds. */
struct entry {
	gpa_t gpa;
	u64 value;
};

/* Both bits are in the first byte, whatever the entry's size. */
static err_t mark(const struct guest_walk *walk, const struct entry *entry, u64 bits)
{
	return bits & ~entry->value ? walk->mark(walk->context, entry->gpa, (u8)bits) : 0;
}

/* @leaf: the entry that maps the page. */
static err_t finish(const struct guest_walk *walk, u32 access, const struct rights *rights,
	const struct entry *leaf, u64 address, gpa_t *out, u32 *pf_error)
{
	if (!allowed(walk, access, rights)) {
		*pf_error = fault_code(walk, access, true);
		return E_INVAL;
	}
	*out = GPA(address);
	return mark(walk, leaf, PTE_A | (access & WALK_WRITE ? PTE_D : 0));
}

/* Two levels of 32-bit entries, with 4 MiB pages where CR4.PSE allows them. */
static err_t walk_32(
	const struct guest_walk *walk, u32 linear, u32 access, gpa_t *out, u32 *pf_error)
{
	struct rights rights = {.write = true, .user = true};
	u64 table = walk->sregs->cr3 & 0xfffff000u;
	struct entry entry = {.value = 0};

	for (u32 level = 2; level > 0; level--) {
		u32 shift = level == 2 ? 22 : 12;
		err_t err;

		entry.gpa = GPA(table + ((linear >> shift) & 0x3ff) * 4ull);
		err = walk->read(walk->context, entry.gpa, &entry.value, 4);
		if (err)
			return err;
		if (!(entry.value & PTE_P)) {
			*pf_error = fault_code(walk, access, false);
			return E_INVAL;
		}
		rights.write &= (entry.value & PTE_W) != 0;
		rights.user &= (entry.value & PTE_U) != 0;
		if (level == 2 && (entry.value & PTE_PS) && (walk->sregs->cr4 & CR4_PSE)) {
			u64 high = ((entry.value >> 13) & 0xff) << 32; /* PSE-36 */

			return finish(walk, access, &rights, &entry,
				high | (entry.value & 0xffc00000u) | (linear & 0x3fffffu), out,
				pf_error);
		}
		table = entry.value & 0xfffff000u;
		err = level == 2 ? mark(walk, &entry, PTE_A) : 0;
		if (err)
			return err;
	}
	return finish(walk, access, &rights, &entry, table | (linear & 0xfffu), out, pf_error);
}

/* 64-bit entries: three levels (PAE), four or five. */
static err_t walk_64(const struct guest_walk *walk, u64 linear, u32 levels, u32 access, gpa_t *out,
	u32 *pf_error)
{
	const struct virt_sregs *s = walk->sregs;
	struct rights rights = {.write = true, .user = true};
	u64 table = levels == 3 ? s->cr3 & 0xffffffe0u : s->cr3 & PTE_ADDRESS;
	struct entry entry = {.value = 0};

	for (u32 level = levels; level > 0; level--) {
		u32 shift = 12 + 9 * (level - 1);
		bool pae_top = levels == 3 && level == 3; /* these four hold no rights, nor A */
		u64 index = (linear >> shift) & (pae_top ? 3 : 0x1ff);
		err_t err;

		entry.gpa = GPA(table + index * 8);
		err = walk->read(walk->context, entry.gpa, &entry.value, 8);
		if (err)
			return err;
		if (!(entry.value & PTE_P)) {
			*pf_error = fault_code(walk, access, false);
			return E_INVAL;
		}
		if (!pae_top) {
			rights.write &= (entry.value & PTE_W) != 0;
			rights.user &= (entry.value & PTE_U) != 0;
			rights.no_exec |= (entry.value & PTE_NX) && (s->efer & EFER_NXE);
		}
		table = entry.value & PTE_ADDRESS;
		if ((level == 2 || (level == 3 && levels > 3)) && (entry.value & PTE_PS)) {
			u64 offset_mask = BIT(shift) - 1;

			return finish(walk, access, &rights, &entry,
				(table & ~offset_mask) | (linear & offset_mask), out, pf_error);
		}
		err = level > 1 && !pae_top ? mark(walk, &entry, PTE_A) : 0;
		if (err)
			return err;
	}
	return finish(walk, access, &rights, &entry, table | (linear & 0xfff), out, pf_error);
}

err_t guest_walk(const struct guest_walk *walk, u64 linear, u32 access, gpa_t *out, u32 *pf_error)
{
	const struct virt_sregs *s = walk->sregs;

	*pf_error = 0;
	if (!(s->cr0 & CR0_PG)) {
		*out = GPA(linear & 0xffffffffu);
		return 0;
	}
	if (s->efer & EFER_LMA)
		return walk_64(walk, linear, s->cr4 & CR4_LA57 ? 5 : 4, access, out, pf_error);
	if (s->cr4 & CR4_PAE)
		return walk_64(walk, linear & 0xffffffffu, 3, access, out, pf_error);
	return walk_32(walk, (u32)linear, access, out, pf_error);
}
