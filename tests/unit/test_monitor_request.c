/* SRCS: hv/monitor/monitor_request.c hv/monitor/json_read.c hv/monitor/json_write.c
   mm/base/fmt.c */
/* What the second serial line says is JSON, what it hears is answered or refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hv/monitor/json_read.h"
#include "hv/monitor/json_write.h"
#include "hv/monitor/monitor_request.h"

static char line[MONITOR_LINE_BYTES + 1];
static struct monitor_request request;

static err_t read_request(const char *text, const char **why)
{
	strcpy(line, text);
	return monitor_request_read(line, &request, why);
}

static void understood(const char *text)
{
	const char *why = NULL;

	assert_int_equal(read_request(text, &why), E_OK);
}

static void refused(const char *text, const char *reason)
{
	const char *why = NULL;

	assert_int_equal(read_request(text, &why), E_INVAL);
	assert_non_null(why);
	if (!strstr(why, reason))
		fail_msg("%s: refused because %s", text, why);
}

static void each_request_is_understood(void **state)
{
	(void)state;
	understood("{\"hello\":true}");
	assert_int_equal(request.what, MONITOR_HELLO);
	understood("{ \"subscribe\" : \"stats\" , \"period_ms\" : 250, \"id\":7 }\r");
	assert_int_equal(request.what, MONITOR_SUBSCRIBE);
	assert_int_equal(request.period_ms, 250);
	assert_string_equal(request.id, "7");
	understood("{\"subscribe\":\"stats\"}");
	assert_int_equal(request.period_ms, MONITOR_PERIOD_MS);
	assert_string_equal(request.id, "");
	understood("{\"unsubscribe\":\"stats\"}");
	assert_int_equal(request.what, MONITOR_UNSUBSCRIBE);
	understood("{\"id\":\"a\\u0062\",\"command\":\"share scan \\\"now\\\"\"}");
	assert_int_equal(request.what, MONITOR_COMMAND);
	assert_string_equal(request.command, "share scan \"now\"");
	assert_string_equal(request.id, "ab");
}

static void what_is_no_request_is_refused_with_the_reason(void **state)
{
	(void)state;
	refused("vms", "not a JSON object");
	refused("[1]", "not a JSON object");
	refused("{", "key in quotes");
	refused("{\"command\"", "\":\"");
	refused("{\"command\":", "value");
	refused("{\"command\":\"vms", "no end");
	refused("{\"command\":\"vms\"", "separated");
	refused("{\"command\":\"vms\"} {}", "follows");
	refused("{\"command\":\"a\\nb\"}", "printable");
	refused("{\"command\":\"\\u0000\"}", "printable");
	refused("{\"command\":\"\\ud834\"}", "printable");
	refused("{\"command\":\"\\u12\"}", "printable");
	refused("{\"command\":\"\\", "printable");
	refused("{\"command\":\"\xc3\xa4\"}", "printable");
	refused("{\"command\":{\"a\":1}}", "value");
	refused("{\"command\":\"\"}", "typed at the console");
	refused("{\"command\":1}", "typed at the console");
	refused("{}", "has one of");
	refused("{\"hello\":true,\"command\":\"vms\"}", "has one of");
	refused("{\"id\":1}", "has one of");
	refused("{\"colour\":\"blue\"}", "unknown key");
	refused("{\"subscribe\":\"all\"}", "stats");
	refused("{\"subscribe\":\"stats\",\"period_ms\":99}", "from 100");
	refused("{\"subscribe\":\"stats\",\"period_ms\":60001}", "from 100");
	refused("{\"subscribe\":\"stats\",\"period_ms\":\"1\"}", "from 100");
	refused("{\"period_ms\":18446744073709551616}", "too large");
	refused("{\"period_ms\":-1}", "value");
	refused("{\"period_ms\":1.5}", "separated");
	refused("{\"period_ms\":007}", "begins with 0");
	refused("{\"id\":true,\"hello\":1}", "32");
	refused("{\"id\":\"123456789012345678901234567890123\",\"hello\":1}", "32");
	refused("{\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1,\"a\":1}",
		"too many");
}

static void an_error_still_knows_whose_it_is(void **state)
{
	(void)state;
	refused("{\"id\":5,\"subscribe\":\"all\"}", "stats");
	assert_string_equal(request.id, "5");
}

static void what_is_written_reads_back(void **state)
{
	char text[200];
	struct json_member m[4];
	struct json_write j;
	const char *why;
	u32 count;

	(void)state;
	json_write_begin(&j, text, sizeof(text));
	json_write_string(&j, "type", "a\"b\\c");
	json_write_u64(&j, "most", ~0ull);
	json_write_bool(&j, "yes", true);
	json_write_bool(&j, "no", false);
	size_t bytes = json_write_end(&j);

	assert_true(bytes > 0 && bytes < sizeof(text));
	assert_int_equal(text[bytes - 1], '\n');
	text[bytes] = '\0';
	assert_int_equal(json_read_object(text, m, 4, &count, &why), E_OK);
	assert_int_equal(count, 4);
	assert_string_equal(m[0].text, "a\"b\\c");
	assert_int_equal(m[1].number, ~0ull);
	assert_int_equal(m[2].number, 1);
	assert_int_equal(m[3].number, 0);
	assert_int_equal(m[3].kind, JSON_BOOL);
}

static void bytes_that_json_cannot_hold_are_escaped(void **state)
{
	static const char wanted[] = "{\"text\":\"a\\n\\u001b\\u00e4\\u0000\"}\n";
	char text[100];
	struct json_write j;

	(void)state;
	json_write_begin(&j, text, sizeof(text));
	json_write_text(&j, "text", "a\n\x1b\xe4\0", 5);
	assert_int_equal(json_write_end(&j), strlen(wanted));
	assert_memory_equal(text, wanted, strlen(wanted));
}

static void an_object_is_whole_or_void(void **state)
{
	char text[32];

	(void)state;
	for (size_t room = 0; room < sizeof(text); room++) {
		struct json_write j;

		memset(text, '#', sizeof(text));
		json_write_begin(&j, text, room);
		json_write_string(&j, "a", "bcd");
		json_write_u64(&j, "e", 123);
		assert_int_equal(json_write_end(&j), room < 20 ? 0 : 20);
		for (size_t i = room; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_understood),
		cmocka_unit_test(what_is_no_request_is_refused_with_the_reason),
		cmocka_unit_test(an_error_still_knows_whose_it_is),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(bytes_that_json_cannot_hold_are_escaped),
		cmocka_unit_test(an_object_is_whole_or_void),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
