/*
 * The policy, leaf by leaf. The common path cuts the host's answer down; what depends on the vCPU
 * (APIC id, OSXSAVE, XSAVE sizes) or on the VM (topology, TSC) is put in by each leaf's function.
 */
#include "hv/vdev/cpuid.h"
#include "hv/abi/hypercall.h"
#include "hv/vdev/cpuid_bits.h"
#include "hv/vdev/lapic.h"
#include "mm/base/str.h"

#define MAX_LEAF_INTEL    0x1fu
#define MAX_LEAF_AMD      0x0du
#define MAX_LEAF_EXTENDED 0x80000008u
#define XSAVE_HEADER_END  576u

/* End of the standard-format XSAVE area that holds @components. */
static u32 xsave_bytes(const struct cpuid_policy *p, u64 components)
{
	u32 end = XSAVE_HEADER_END, r[4];

	for (u64 left = components & BITS(62, 2); left; left &= left - 1) {
		p->host.read(0xd, (u32)__builtin_ctzll(left), r);
		end = max(end, r[CPUID_EBX] + r[CPUID_EAX]);
	}
	return end;
}

void cpuid_policy_init(
	struct cpuid_policy *policy, const struct cpuid_host *host, u32 vcpu_count, u64 tsc_khz)
{
	u32 r[4];

	*policy =
		(struct cpuid_policy){.host = *host, .vcpu_count = vcpu_count, .tsc_khz = tsc_khz};
	host->read(0, 0, r);
	/* Not AMD's or Hygon's: as Intel. */
	policy->intel =
		memcmp(&r[CPUID_EBX], "Auth", 4) != 0 && memcmp(&r[CPUID_EBX], "Hygo", 4) != 0;
	/* Leaf 16H is always there on Intel, 1FH only where the host has it. */
	policy->max_leaf =
		policy->intel ? max(min(r[CPUID_EAX], MAX_LEAF_INTEL), 0x16u) : MAX_LEAF_AMD;
	host->read(0x80000000u, 0, r);
	policy->max_extended_leaf = min(r[CPUID_EAX], MAX_LEAF_EXTENDED);
	policy->xsave_bytes = xsave_bytes(policy, host->xcr0_mask);
}

static bool has_ymm(const struct cpuid_policy *p)
{
	return p->host.xcr0_mask & XCR0_YMM;
}

static bool has_zmm(const struct cpuid_policy *p)
{
	return (p->host.xcr0_mask & XCR0_ZMM) == XCR0_ZMM;
}

/* Bits needed to tell @count things apart. */
static u32 width_of(u32 count)
{
	return count > 1 ? 32 - (u32)__builtin_clz(count - 1) : 0;
}

static void leaf_1(const struct cpuid_policy *p, const struct cpuid_state *s, u32 r[4])
{
	u32 clflush = r[CPUID_EBX] & 0xff00;
	u32 host_ecx = r[CPUID_ECX];

	r[CPUID_EBX] = s->apic_id << 24 | min(p->vcpu_count, 255u) << 16 | clflush;
	r[CPUID_ECX] &= L1_ECX_SHOWN | (has_ymm(p) ? L1_ECX_WITH_YMM : 0);
	r[CPUID_ECX] |= L1_ECX_X2APIC | L1_ECX_DEADLINE | L1_ECX_HYPERVISOR;
	if (p->host.xcr0_mask)
		r[CPUID_ECX] |= host_ecx & L1_ECX_XSAVE;
	if ((r[CPUID_ECX] & L1_ECX_XSAVE) && (s->cr4 & CR4_OSXSAVE))
		r[CPUID_ECX] |= L1_ECX_OSXSAVE;
	r[CPUID_EDX] &= L1_EDX_SHOWN;
	if (s->apic_enabled)
		r[CPUID_EDX] |= L1_EDX_APIC;
	if (p->vcpu_count > 1)
		r[CPUID_EDX] |= L1_EDX_HTT;
}

/* Cache parameters: each vCPU is a core; the last level is shared by all, the others by nobody. */
static void leaf_4(const struct cpuid_policy *p, u32 r[4])
{
	u32 level = r[CPUID_EAX] >> 5 & 7;

	if ((r[CPUID_EAX] & 31) == 0) {
		memset(r, 0, 4 * sizeof(u32));
		return;
	}
	r[CPUID_EAX] &= 0x3fff;
	if (level >= 3)
		r[CPUID_EAX] |= ((1u << width_of(p->vcpu_count)) - 1) << 14;
	r[CPUID_EAX] |= ((1u << min(width_of(p->vcpu_count), 5u)) - 1) << 26;
}

static void leaf_7(const struct cpuid_policy *p, const struct cpuid_state *s, u32 subleaf, u32 r[4])
{
	if (subleaf == 1) {
		r[CPUID_EAX] &= L7_1_EAX_SHOWN | (has_ymm(p) ? L7_1_EAX_WITH_YMM : 0) |
				(has_zmm(p) ? L7_1_EAX_WITH_ZMM : 0);
		r[CPUID_EBX] = r[CPUID_ECX] = r[CPUID_EDX] = 0;
		return;
	}
	if (subleaf > 1) {
		memset(r, 0, 4 * sizeof(u32));
		return;
	}
	r[CPUID_EAX] = min(r[CPUID_EAX], 1u);
	r[CPUID_EBX] &= L7_EBX_SHOWN | (has_ymm(p) ? L7_EBX_WITH_YMM : 0) |
			(has_zmm(p) ? L7_EBX_WITH_ZMM : 0);
	if (!p->host.invpcid_works)
		r[CPUID_EBX] &= ~L7_EBX_INVPCID;
	r[CPUID_ECX] &= L7_ECX_SHOWN | (has_ymm(p) ? L7_ECX_WITH_YMM : 0) |
			(has_zmm(p) ? L7_ECX_WITH_ZMM : 0) |
			(p->host.xcr0_mask & XCR0_PKRU ? L7_ECX_PKU : 0);
	if (!p->host.rdtscp_works)
		r[CPUID_ECX] &= ~L7_ECX_RDPID;
	if ((r[CPUID_ECX] & L7_ECX_PKU) && (s->cr4 & CR4_PKE))
		r[CPUID_ECX] |= L7_ECX_OSPKE;
	r[CPUID_EDX] &= L7_EDX_SHOWN | (has_zmm(p) ? L7_EDX_WITH_ZMM : 0);
	if (cpuid_arch_capabilities(p))
		r[CPUID_EDX] |= L7_EDX_ARCH_CAPABILITIES;
}

/* One thread a core, all cores in one package. Leaf 1FH says the same. */
static void leaf_topology(
	const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 subleaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(u32));
	r[CPUID_ECX] = subleaf & 0xff;
	r[CPUID_EDX] = s->apic_id;
	if (subleaf == 0) {
		r[CPUID_EBX] = 1;
		r[CPUID_ECX] |= 1 << 8; /* threads */
	} else if (subleaf == 1) {
		r[CPUID_EAX] = width_of(p->vcpu_count);
		r[CPUID_EBX] = p->vcpu_count;
		r[CPUID_ECX] |= 2 << 8; /* cores */
	}
	(void)leaf;
}

/* The same in the compacted format. */
static u32 xsavec_bytes(const struct cpuid_policy *p, u64 components)
{
	u32 end = XSAVE_HEADER_END, r[4];

	for (u64 left = components & BITS(62, 2); left; left &= left - 1) {
		p->host.read(0xd, (u32)__builtin_ctzll(left), r);
		if (r[CPUID_ECX] & 2)
			end = ALIGN_UP(end, 64u);
		end += r[CPUID_EAX];
	}
	return end;
}

static void leaf_xsave(
	const struct cpuid_policy *p, const struct cpuid_state *s, u32 subleaf, u32 r[4])
{
	u64 mask = p->host.xcr0_mask;
	bool shown = subleaf < 2 || (subleaf < 63 && (mask >> subleaf & 1));

	if (!mask || !shown) {
		memset(r, 0, 4 * sizeof(u32));
		return;
	}
	if (subleaf == 0) {
		r[CPUID_EAX] = (u32)mask;
		r[CPUID_ECX] = p->xsave_bytes;
		/* An OS enables all that there is, as a rule. */
		r[CPUID_EBX] =
			(s->xcr0 & mask) == mask ? p->xsave_bytes : xsave_bytes(p, s->xcr0 & mask);
		r[CPUID_EDX] = (u32)(mask >> 32);
	} else if (subleaf == 1) {
		r[CPUID_EAX] &= LD_1_EAX_SHOWN;
		r[CPUID_EBX] = r[CPUID_EAX] & LD_1_EAX_XSAVEC ? xsavec_bytes(p, s->xcr0 & mask) : 0;
		r[CPUID_ECX] = r[CPUID_EDX] = 0;
	} else {
		r[CPUID_ECX] &= 2;
		r[CPUID_EDX] = 0;
	}
}

static u32 greatest_divisor(u32 a, u32 b)
{
	while (b) {
		u32 rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/*
 * TSC frequency as a ratio to the APIC timer's clock: given only if it is exact, and if a guest
 * that computes kHz x numerator in 32 bits (Linux does) gets it right.
 */
static void leaf_tsc(const struct cpuid_policy *p, u32 r[4])
{
	u32 bus_khz = LAPIC_BUS_HZ / 1000, divisor;

	memset(r, 0, 4 * sizeof(u32));
	if (p->tsc_khz > ~0u)
		return;
	divisor = greatest_divisor((u32)p->tsc_khz, bus_khz);
	if ((u64)bus_khz * (p->tsc_khz / divisor) > ~0u)
		return;
	r[CPUID_EAX] = bus_khz / divisor;
	r[CPUID_EBX] = (u32)p->tsc_khz / divisor;
	r[CPUID_ECX] = LAPIC_BUS_HZ;
}

static void leaf_hypervisor(const struct cpuid_policy *p, u32 leaf, u32 r[4])
{
	memset(r, 0, 4 * sizeof(u32));
	switch (leaf) {
	case LEAF_KVM:
		r[CPUID_EAX] = LEAF_TIMING;
		memcpy(&r[CPUID_EBX], "KVMKVMKVM\0\0\0", 12);
		break;
	case LEAF_KVM + 1:
		r[CPUID_EAX] = KVM_CLOCKSOURCE | KVM_NOP_IO_DELAY | KVM_CLOCKSOURCE2 |
			       KVM_STEAL_TIME | KVM_PV_UNHALT | KVM_PV_TLB_FLUSH | KVM_PV_SEND_IPI |
			       KVM_CLOCKSOURCE_STABLE;
		break;
	case LEAF_TIMING:
		r[CPUID_EAX] = (u32)p->tsc_khz;
		r[CPUID_EBX] = LAPIC_BUS_HZ / 1000;
		break;
	case BELLOWS_CPUID_LEAF:
		r[CPUID_EAX] = BELLOWS_CPUID_LEAF + 1;
		memcpy(&r[CPUID_EBX], BELLOWS_CPUID_SIGNATURE, 12);
		break;
	case BELLOWS_CPUID_LEAF + 1:
		r[CPUID_EAX] =
			1; /* version of this leaf; feature bits follow with what they announce */
		break;
	}
}

static void leaf_extended(
	const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 r[4])
{
	u32 host_edx = r[CPUID_EDX];

	switch (leaf) {
	case 0x80000000u:
		r[CPUID_EAX] = p->max_extended_leaf;
		return;
	case 0x80000001u:
		r[CPUID_ECX] &= LX1_ECX_SHOWN | (has_ymm(p) ? LX1_ECX_WITH_YMM : 0);
		r[CPUID_EDX] &= LX1_EDX_SHOWN;
		if (!p->intel) {
			r[CPUID_EDX] |= host_edx & LX1_EDX_AMD_SHOWN;
			r[CPUID_EDX] |= s->apic_enabled ? LX1_EDX_APIC : 0;
		}
		if (!p->host.rdtscp_works)
			r[CPUID_EDX] &= ~LX1_EDX_RDTSCP;
		return;
	case 0x80000007u:
		r[CPUID_EAX] = r[CPUID_EBX] = r[CPUID_ECX] = 0;
		r[CPUID_EDX] = LX7_EDX_INVARIANT_TSC;
		return;
	case 0x80000008u:
		/* 48 linear bits at most (no LA57); no separate guest-physical width. */
		r[CPUID_EAX] = (r[CPUID_EAX] & 0xff) | min(r[CPUID_EAX] >> 8 & 0xff, 48u) << 8;
		r[CPUID_EBX] &= LX8_EBX_SHOWN;
		r[CPUID_ECX] = p->vcpu_count - 1;
		r[CPUID_EDX] = 0;
		return;
	case 0x80000002u ... 0x80000006u:
		return; /* brand and caches: the host's */
	}
	memset(r, 0, 4 * sizeof(u32));
}

static void leaf_basic(
	const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 subleaf, u32 r[4])
{
	switch (leaf) {
	case 0x0:
		r[CPUID_EAX] = p->max_leaf;
		return;
	case 0x1:
		leaf_1(p, s, r);
		return;
	case 0x2:
		return;
	case 0x4:
		leaf_4(p, r);
		return;
	case 0x6:
		memset(r, 0, 4 * sizeof(u32));
		r[CPUID_EAX] = 4; /* ARAT: the APIC timer never stops */
		return;
	case 0x7:
		leaf_7(p, s, subleaf, r);
		return;
	case 0xb:
	case 0x1f:
		leaf_topology(p, s, leaf, subleaf, r);
		return;
	case 0xd:
		leaf_xsave(p, s, subleaf, r);
		return;
	case 0x15:
		leaf_tsc(p, r);
		return;
	case 0x16:
		memset(r, 0, 4 * sizeof(u32));
		r[CPUID_EAX] = r[CPUID_EBX] = (u32)(p->tsc_khz / 1000);
		r[CPUID_ECX] = 100;
		return;
	}
	memset(r, 0, 4 * sizeof(u32));
}

/* Beyond the highest leaf Intel answers as for the highest basic one, AMD with zeros, as here. */
static bool leaf_exists(const struct cpuid_policy *p, u32 leaf)
{
	if (leaf & 0x80000000u)
		return leaf == 0x80000000u || leaf <= p->max_extended_leaf;
	return leaf <= p->max_leaf;
}

void cpuid_answer(const struct cpuid_policy *p, const struct cpuid_state *s, u32 leaf, u32 subleaf,
	u32 out[4])
{
	out[CPUID_EAX] = out[CPUID_EBX] = out[CPUID_ECX] = out[CPUID_EDX] = 0;
	if (leaf >> 8 == LEAF_KVM >> 8 || leaf >> 8 == BELLOWS_CPUID_LEAF >> 8) {
		leaf_hypervisor(p, leaf, out);
		return;
	}
	if (!leaf_exists(p, leaf))
		return;
	p->host.read(leaf, subleaf, out);
	if (leaf & 0x80000000u)
		leaf_extended(p, s, leaf, out);
	else
		leaf_basic(p, s, leaf, subleaf, out);
}

u64 cpuid_arch_capabilities(const struct cpuid_policy *p)
{
	return p->intel ? p->host.arch_capabilities & ARCH_CAPABILITIES_SHOWN : 0;
}
