/* One request: a flat object with one deed in it, and what belongs to that. */
#include "hv/monitor/monitor_request.h"
#include "hv/monitor/json_read.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

#define MEMBERS_MOST 8u

struct known {
	const char *key;
	err_t (*take)(const struct json_member *m, struct monitor_request *out, const char **why);
	bool is_deed;
};

static err_t take_id(const struct json_member *m, struct monitor_request *out, const char **why)
{
	if (m->kind == JSON_NUMBER) {
		fmt_snprintf(out->id, sizeof(out->id), "%llu", (unsigned long long)m->number);
		return E_OK;
	}
	*why = "id is a number, or text of at most 32 characters";
	if (m->kind != JSON_STRING || strlen(m->text) >= sizeof(out->id))
		return E_INVAL;
	fmt_snprintf(out->id, sizeof(out->id), "%s", m->text);
	return E_OK;
}

static err_t take_hello(const struct json_member *m, struct monitor_request *out, const char **why)
{
	(void)m;
	(void)why;
	out->what = MONITOR_HELLO;
	return E_OK;
}

static err_t take_subscribe(
	const struct json_member *m, struct monitor_request *out, const char **why)
{
	*why = "one can subscribe to \"stats\" only";
	if (m->kind != JSON_STRING || strcmp(m->text, "stats") != 0)
		return E_INVAL;
	out->what = MONITOR_SUBSCRIBE;
	return E_OK;
}

static err_t take_unsubscribe(
	const struct json_member *m, struct monitor_request *out, const char **why)
{
	(void)m;
	(void)why;
	out->what = MONITOR_UNSUBSCRIBE;
	return E_OK;
}

static err_t take_period(const struct json_member *m, struct monitor_request *out, const char **why)
{
	*why = "period_ms is a number from 100 to 60000";
	if (m->kind != JSON_NUMBER || m->number < MONITOR_PERIOD_MS_MIN ||
		m->number > MONITOR_PERIOD_MS_MAX)
		return E_INVAL;
	out->period_ms = (u32)m->number;
	return E_OK;
}

static err_t take_command(
	const struct json_member *m, struct monitor_request *out, const char **why)
{
	*why = "command is text, as typed at the console";
	if (m->kind != JSON_STRING || !m->text[0])
		return E_INVAL;
	out->what = MONITOR_COMMAND;
	out->command = (char *)m->text;
	return E_OK;
}

static const struct known known[] = {
	{"id", take_id, false},
	{"hello", take_hello, true},
	{"subscribe", take_subscribe, true},
	{"unsubscribe", take_unsubscribe, true},
	{"period_ms", take_period, false},
	{"command", take_command, true},
};

static const struct known *find(const char *key)
{
	for (u32 i = 0; i < ARRAY_COUNT(known); i++) {
		if (strcmp(known[i].key, key) == 0)
			return &known[i];
	}
	return NULL;
}

err_t monitor_request_read(char *line, struct monitor_request *out, const char **why)
{
	struct json_member members[MEMBERS_MOST];
	u32 count, deeds = 0;

	*out = (struct monitor_request){.period_ms = MONITOR_PERIOD_MS};
	err_t err = json_read_object(line, members, MEMBERS_MOST, &count, why);

	if (err)
		return err;
	for (u32 i = 0; i < count; i++) {
		const struct known *k = find(members[i].key);

		if (!k) {
			*why = "unknown key: there are hello, subscribe, period_ms, unsubscribe, "
			       "command, id";
			return E_INVAL;
		}
		deeds += k->is_deed;
		err = k->take(&members[i], out, why);
		if (err)
			return err;
	}
	*why = "a request has one of hello, subscribe, unsubscribe, command";
	return deeds == 1 ? E_OK : E_INVAL;
}
