/* Exceptions that raise themselves: counting exits that find the vCPU as the last one did. */
#include "hv/exit/recurrence.h"
#include "mm/base/str.h"

bool recurrence_note(struct recurrence *r, const struct virt_vcpu *virt, u8 vector)
{
	if (r->count == 0 || r->vector != vector || r->rip != virt->rip ||
		memcmp(r->gpr, virt->gpr, sizeof(r->gpr)) != 0) {
		r->count = 0;
		r->vector = vector;
		r->rip = virt->rip;
		memcpy(r->gpr, virt->gpr, sizeof(r->gpr));
	}
	return ++r->count >= RECURRENCE_MAX;
}
