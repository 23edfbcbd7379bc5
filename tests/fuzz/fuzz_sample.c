/* SRCS: guest-tools/monitor/sample.c guest-tools/monitor/table.c guest-tools/monitor/metrics.c
   LIBS: -ljson-c */
/*
 * Any lines as what a hypervisor tells: a sample is whole or not, its words are printable, and it
 * can be shown and exported.
 */
#include <stdlib.h>
#include <string.h>

#include "guest-tools/monitor/metrics.h"
#include "guest-tools/monitor/table.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void show(const struct sample *s, const struct sample *before)
{
	double columns[COLUMN_COUNT];
	size_t bytes;
	char *text = metrics_text(s, 1, &bytes);

	require(text && strlen(text) == bytes);
	free(text);
	require(table_overcommit(s) >= 0 && table_health(s) != NULL);
	for (size_t i = 0; i < s->vm_count; i++) {
		const char *name = s->vms[i].name;

		require(strcspn(name, "\"\\\n\x1b") == strlen(name) &&
			strlen(name) < SAMPLE_NAME_SIZE);
		table_columns(&s->vms[i], sample_find(before, name), 1000, columns);
		for (size_t c = 0; c < COLUMN_COUNT; c++)
			require(columns[c] >= 0);
	}
}

static void take(struct sample *building, struct sample *before, const char *line, size_t bytes)
{
	struct json_tokener *tokener = json_tokener_new();
	json_object *object = json_tokener_parse_ex(tokener, line, (int)bytes);

	if (object && json_object_is_type(object, json_type_object) &&
		sample_take(building, object)) {
		show(building, before);
		require(sample_copy(before, building));
	}
	json_object_put(object);
	json_tokener_free(tokener);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct sample building = {0}, before = {0};
	const char *at = (const char *)data, *end = at + bytes, *newline;

	for (; (newline = memchr(at, '\n', (size_t)(end - at))) != NULL; at = newline + 1)
		take(&building, &before, at, (size_t)(newline - at));
	sample_free(&building);
	sample_free(&before);
	return 0;
}
