/* SRCS: hv/exit/hypercall.c hv/exit/kvm_calls.c hv/memory/balloon.c hv/memory/guest_mem.c
   tests/fake/fake_platform.c tests/fake/fake_guest.c mm */
/*
 * A guest that makes any hypercalls in any order, from any ring, with any lists, and uses its
 * memory between them, while time passes, targets move and another VM starts and ends. A call
 * changes nothing but RAX; again and again every entry and frame is accounted for; whatever was
 * done, the other VM finds all the memory that it was promised.
 */
#include "tests/unit/hypercall_rig.h"
#include "hv/abi/kvm.h"

#define MEMORY_PAGES 1100u /* two regions and a piece */
#define OTHER_BYTES  MIB(2)
#define HOST_FRAMES  2600u
#define LISTS_GPA    0x2000ull
#define LISTS        4u
#define LIST_ENTRIES 512u
#define NS_A_STEP    10000u
#define CHECK_EVERY  16u

struct op {
	u8 kind, call, ring, order;
	u16 at, count;
	u64 value;
};
_Static_assert(sizeof(struct op) == 16, "as read from the input");

static struct space *other;
static struct memsched_request other_vm;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* --- The other VM ---------------------------------------------------------------------------- */

static void other_start(void)
{
	struct space_config config = {.name = "other",
		.memory_bytes = OTHER_BYTES,
		.format = &slat_npt,
		.promised_bytes = OTHER_BYTES};
	char why[200];

	other_vm = (struct memsched_request){
		.memory_frames = OTHER_BYTES >> PAGE_SHIFT,
		.promised_frames = OTHER_BYTES >> PAGE_SHIFT,
		.overhead_frames = space_overhead_frames(&config),
	};
	if (memsched_power_on(&other_vm, why, sizeof(why)))
		return;
	/* What is promised is free, but what space_create() needs besides may be taken by now. */
	if (space_create(&other, &config)) {
		other = NULL;
		memsched_power_off(&other_vm);
	}
}

static void other_end(void)
{
	for (u64 page = 0; page < other->page_count; page++)
		require(fault_handle(other, gfn_to_gpa(GFN(page)), SLAT_WRITE) == FAULT_DONE);
	space_destroy(other);
	memsched_power_off(&other_vm);
	other = NULL;
}

/* --- The guest ------------------------------------------------------------------------------- */

static u64 list_gpa(const struct op *op)
{
	return LISTS_GPA + (op->at % LISTS) * PAGE_BYTES;
}

static s64 call(const struct op *op)
{
	static const u64 numbers[] = {BELLOWS_HC_VERSION, BELLOWS_HC_BALLOON_HELLO,
		BELLOWS_HC_BALLOON_TARGET, BELLOWS_HC_BALLOON_INFLATE, BELLOWS_HC_BALLOON_DEFLATE,
		BELLOWS_HC_BALLOON_STATS, BELLOWS_HC_BALLOON_GOODBYE, BELLOWS_HC_DEBUG_HIDE,
		BELLOWS_HC_DEBUG_HIDE_ALL, 0x42570016, KVM_HC_SEND_IPI, KVM_HC_KICK_CPU};
	u64 number = numbers[op->call % ARRAY_COUNT(numbers)];
	bool plain = op->call & 0x80;
	u64 rbx = op->value, rcx = op->count, rdx = op->order & 1 ? 9 : 0, rsi = op->value >> 32;

	if (number >= BELLOWS_HC_BALLOON_INFLATE && number <= BELLOWS_HC_BALLOON_STATS && !plain)
		rbx = list_gpa(op);
	if (plain) {
		number = op->call & 0x40 ? op->value : number;
		rcx = op->value << 7 ^ op->count;
		rdx = op->order;
	}
	rig.cpl = op->ring & 0x3c ? 0 : op->ring & 3;
	s64 answer = rig_call(number, rbx, rcx, rdx, rsi);
	const u64 *gpr = rig.vcpu.virt.gpr;

	require(gpr[GPR_RBX] == rbx && gpr[GPR_RCX] == rcx && gpr[GPR_RDX] == rdx &&
		gpr[GPR_RSI] == rsi);
	require(rig.cpl == 0 || answer == BELLOWS_HC_E_PERM || answer == BELLOWS_HC_E_UNKNOWN);
	return answer;
}

/* Numbers in a row, or any. */
static void list_write(const struct op *op)
{
	u64 list[LIST_ENTRIES];
	u32 count = op->count % LIST_ENTRIES + 1;

	for (u32 i = 0; i < count; i++)
		list[i] = op->order & 2 ? op->value
					: (op->value % (MEMORY_PAGES + 8)) +
						  ((u64)i << (op->order & 1 ? 9 : 0));
	(void)!guest_mem_write(rig.vm.space, GPA(list_gpa(op)), list, count * sizeof(list[0]));
}

static void touch(const struct op *op)
{
	u64 value = op->value, page = op->at % MEMORY_PAGES;

	for (u32 i = 0; i < op->count % 64u + 1 && page + i < MEMORY_PAGES; i++)
		(void)!fake_guest_access(rig.vm.space, gfn_to_gpa(GFN(page + i)),
			op->order & 1 ? SLAT_WRITE : SLAT_READ, &value, sizeof(value));
	fake_guest_leave();
}

static void reset(void)
{
	space_clear(rig.vm.space);
	balloon_began(&rig.vm);
	rig.vm.abi_version = 0;
}

/* What the host does ten times a second. */
static void host_turn(const struct op *op)
{
	struct vm_balloon *b = &rig.vm.balloon;
	enum balloon_limit which;
	u64 maximum = balloon_maximum_of(&rig.vm, &which), floor = balloon_floor_of(&rig.vm);

	require(maximum <= MEMORY_PAGES && floor <= MEMORY_PAGES && which < BALLOON_LIMIT_COUNT);
	b->pace.target_pages = balloon_wanted(op->value % (2 * MEMORY_PAGES), floor, maximum);
	balloon_promise(&rig.vm);
}

static void run(const struct op *op)
{
	switch (op->kind % 8) {
	case 0:
	case 1:
	case 2:
		call(op);
		break;
	case 3:
		list_write(op);
		break;
	case 4:
		touch(op);
		break;
	case 5:
		host_turn(op);
		break;
	case 6:
		rig.now_ns += op->value % 2000000000;
		break;
	case 7:
		if (op->call == 0)
			reset();
		else if (!other)
			other_start();
		else
			other_end();
		break;
	}
	rig.now_ns += NS_A_STEP;
}

static void check(void)
{
	require(space_audit(rig.vm.space) && frame_audit());
	require(rig.vm.space->promised_pages == rig.vm.admitted.promised_frames);
	require(fake_guest_violations() == 0 && stats_get(&rig.vm.space->pins) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u32 steps = 0;

	rig_start((u64)MEMORY_PAGES << PAGE_SHIFT, HOST_FRAMES);
	fake_log_quiet(true);
	for (; size >= sizeof(struct op); data += sizeof(struct op), size -= sizeof(struct op)) {
		struct op op;

		memcpy(&op, data, sizeof(op));
		run(&op);
		if (++steps % CHECK_EVERY == 0)
			check();
	}
	check();
	if (other)
		other_end();
	rig_stop();
	return 0;
}
