/* Lines of JSON to numbers. */
#include "guest-tools/monitor/sample.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const host_keys[HOST_FIELDS] = {
	[HOST_SEQ] = "seq",
	[HOST_TIME_MS] = "time_ms",
	[HOST_DROPPED] = "dropped",
	[HOST_MEMORY] = "memory_bytes",
	[HOST_FREE] = "free_bytes",
	[HOST_MIN_FREE] = "min_free_bytes",
	[HOST_PROMISED] = "promised_bytes",
	[HOST_OVERHEAD] = "overhead_bytes",
	[HOST_HYPERVISOR] = "hypervisor_bytes",
};

static const char *const vm_keys[VM_FIELDS] = {
	[VM_MEMORY] = "memory_bytes",
	[VM_GRANTED] = "granted_bytes",
	[VM_CONSUMED] = "consumed_bytes",
	[VM_ZERO] = "zero_bytes",
	[VM_SHARED] = "shared_bytes",
	[VM_SHARED_SAVED] = "shared_saved_bytes",
	[VM_HINT] = "hint_bytes",
	[VM_BALLOON] = "balloon_bytes",
	[VM_BALLOON_TARGET] = "balloon_target_bytes",
	[VM_BALLOON_MAX] = "balloon_max_bytes",
	[VM_ZIPPED_NOW] = "zipped_bytes",
	[VM_SWAPPED] = "swapped_bytes",
	[VM_CACHE] = "cache_bytes",
	[VM_CACHE_MAX] = "cache_max_bytes",
	[VM_OVERHEAD] = "overhead_bytes",
	[VM_SWAP_IN_P50] = "swap_in_p50_us",
	[VM_SWAP_IN_P99] = "swap_in_p99_us",
	[VM_DISK_P50] = "disk_p50_us",
	[VM_DISK_P99] = "disk_p99_us",
	[VM_FAULTS] = "faults",
	[VM_ZIPPED] = "zipped",
	[VM_UNZIPPED] = "unzipped",
	[VM_SWAPPED_OUT] = "swapped_out",
	[VM_SWAPPED_IN] = "swapped_in",
	[VM_READ_AHEAD] = "read_ahead",
	[VM_DROPPED] = "dropped",
	[VM_BALLOONED] = "ballooned",
	[VM_MERGED] = "merged",
	[VM_COPIED] = "copied",
	[VM_WAITS] = "waits",
	[VM_WAITED_NS] = "waited_ns",
	[VM_GUEST_SWAPPED_IN] = "guest_swapped_in",
	[VM_GUEST_SWAPPED_OUT] = "guest_swapped_out",
	[VM_GUEST_MAJOR_FAULTS] = "guest_major_faults",
	[VM_EXITS] = "exits",
	[VM_RUN_NS] = "run_ns",
	[VM_HEALTH_SECONDS] = "finding_s",
};

static void take_numbers(json_object *line, const char *const *keys, uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		json_object *value = json_object_object_get(line, keys[i]);

		values[i] = json_object_is_type(value, json_type_int)
				    ? json_object_get_uint64(value)
				    : 0;
	}
}

/* Printable ASCII only: it goes to a terminal, and into Prometheus' text. */
static void take_text(json_object *line, const char *key, char to[SAMPLE_NAME_SIZE])
{
	json_object *value = json_object_object_get(line, key);
	const char *text =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
	size_t at = 0;

	for (; *text && at + 1 < SAMPLE_NAME_SIZE; text++)
		to[at++] = *text >= 0x20 && *text < 0x7f && *text != '"' && *text != '\\' ? *text
											  : '?';
	to[at] = '\0';
}

static void take_host(struct sample *s, json_object *line)
{
	take_text(line, "state", s->state);
	take_numbers(line, host_keys, s->host, HOST_FIELDS);
	s->vm_count = 0;
	s->is_open = true;
}

static bool make_room(struct sample *s, size_t count)
{
	if (count <= s->vm_room)
		return true;
	size_t room = count + 16;
	struct vm_sample *vms = realloc(s->vms, room * sizeof(*vms));

	if (!vms)
		return false;
	s->vms = vms;
	s->vm_room = room;
	return true;
}

static void take_vm(struct sample *s, json_object *line)
{
	if (s->vm_count == SAMPLE_VMS_MOST || !make_room(s, s->vm_count + 1)) {
		s->is_open = false;
		return;
	}
	struct vm_sample *vm = &s->vms[s->vm_count++];

	take_text(line, "name", vm->name);
	take_text(line, "state", vm->state);
	take_text(line, "health", vm->health);
	take_text(line, "finding", vm->finding);
	take_numbers(line, vm_keys, vm->values, VM_FIELDS);
}

static uint64_t number(json_object *line, const char *key)
{
	return json_object_get_uint64(json_object_object_get(line, key));
}

bool sample_take(struct sample *s, json_object *line)
{
	const char *type = json_object_get_string(json_object_object_get(line, "type"));

	if (!type)
		return false;
	if (strcmp(type, "host") == 0) {
		take_host(s, line);
		return false;
	}
	/* A line of a sample whose beginning was lost. */
	if (!s->is_open || number(line, "seq") != s->host[HOST_SEQ])
		return false;
	if (strcmp(type, "vm") == 0)
		take_vm(s, line);
	if (strcmp(type, "end") != 0)
		return false;
	s->is_open = false;
	return number(line, "vms") == s->vm_count;
}

bool sample_copy(struct sample *to, const struct sample *from)
{
	to->vm_count = 0;
	if (!make_room(to, from->vm_count))
		return false;
	memcpy(to->state, from->state, sizeof(to->state));
	memcpy(to->host, from->host, sizeof(to->host));
	if (from->vm_count)
		memcpy(to->vms, from->vms, from->vm_count * sizeof(*to->vms));
	to->vm_count = from->vm_count;
	return true;
}

void sample_free(struct sample *s)
{
	free(s->vms);
	*s = (struct sample){0};
}

const struct vm_sample *sample_find(const struct sample *s, const char *name)
{
	for (size_t i = 0; i < s->vm_count; i++) {
		if (strcmp(s->vms[i].name, name) == 0)
			return &s->vms[i];
	}
	return NULL;
}
