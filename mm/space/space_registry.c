/*
 * The table of spaces. A holder is counted in the table, under the lock, so that the end of a space
 * can wait for it; holders keep a space for a slice of work only, and wait for nothing meanwhile
 * that its end could be in the way of.
 */
#include "mm/space/space_registry.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

static struct {
	struct spinlock lock;
	struct {
		struct space *space; /* [r] */
		u32 holders;         /* [r] */
	} spaces[SPACE_NUMBER_COUNT];
	u64 in_use[SPACE_NUMBER_COUNT / 64]; /* [r] by number: walks are short */
	u32 next;        /* [r] numbers are given in turn, so that each rests as long as it can */
	u64 last_serial; /* [r] */
} registry = {.lock = SPINLOCK(LOCK_RANK_SPACE)};

void space_registry_init(void)
{
	memset(&registry, 0, sizeof(registry));
	spin_init(&registry.lock, LOCK_RANK_SPACE);
}

void space_registry_add(struct space *space)
{
	spin_lock(&registry.lock);
	space->serial = ++registry.last_serial;
	for (u32 i = 0; i < SPACE_NUMBER_COUNT; i++) {
		u32 number = ++registry.next % SPACE_NUMBER_COUNT;

		if (number != 0 && !registry.spaces[number].space &&
			registry.spaces[number].holders == 0) {
			registry.spaces[number].space = space;
			registry.in_use[number / 64] |= BIT(number % 64);
			space->number = number;
			break;
		}
	}
	spin_unlock(&registry.lock);
}

void space_registry_remove(struct space *space)
{
	u32 number = space->number;
	bool held = number != 0;

	if (held) {
		spin_lock(&registry.lock);
		CHECK(registry.spaces[number].space == space);
		registry.spaces[number].space = NULL;
		registry.in_use[number / 64] &= ~BIT(number % 64);
		spin_unlock(&registry.lock);
	}
	while (held) {
		spin_lock(&registry.lock);
		held = registry.spaces[number].holders != 0;
		spin_unlock(&registry.lock);
	}
}

struct space *space_hold(u32 number, u64 serial)
{
	struct space *space;

	if (number >= SPACE_NUMBER_COUNT)
		return NULL;
	spin_lock(&registry.lock);
	space = registry.spaces[number].space;
	if (space && serial && space->serial != serial)
		space = NULL;
	if (space)
		registry.spaces[number].holders++;
	spin_unlock(&registry.lock);
	return space;
}

/* Lock held. The first number in use from @number on; SPACE_NUMBER_COUNT: there is none. */
static u32 next_in_use(u32 number)
{
	while (number < SPACE_NUMBER_COUNT) {
		u64 word = registry.in_use[number / 64] >> number % 64;

		if (word)
			return number + (u32)__builtin_ctzll(word);
		number = (number / 64 + 1) * 64;
	}
	return SPACE_NUMBER_COUNT;
}

struct space *space_hold_next(u32 number)
{
	struct space *space = NULL;

	spin_lock(&registry.lock);
	number = next_in_use(number + 1);
	if (number < SPACE_NUMBER_COUNT) {
		space = registry.spaces[number].space;
		registry.spaces[number].holders++;
	}
	spin_unlock(&registry.lock);
	return space;
}

void space_release(struct space *space)
{
	spin_lock(&registry.lock);
	CHECK(registry.spaces[space->number].holders != 0);
	registry.spaces[space->number].holders--;
	spin_unlock(&registry.lock);
}

u64 space_owner_word(const struct space *space, gfn_t gfn)
{
	return (u64)space->number << (64 - SPACE_NUMBER_BITS) | gfn.v;
}
