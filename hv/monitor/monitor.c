/*
 * The line itself: bytes to lines to requests, answers into a queue.
 *
 * The UART is polled: each half millisecond while somebody is there, which is one second from the
 * last byte heard; else at the console's pace, when only the 16 bytes of the FIFO are sure to be
 * kept. So a client sends an empty line first, and its request after the answer to that. Bytes that
 * were lost all the same are told, and the client sends its request again.
 *
 * Nobody knows when a client on a serial line has gone. A subscription therefore ends by itself if
 * nothing was heard for a minute, and a line that takes nothing for a second makes no haste.
 */
#include "hv/monitor/monitor.h"
#include "drivers/uart.h"
#include "hv/console/console.h"
#include "hv/monitor/json_write.h"
#include "hv/monitor/monitor_request.h"
#include "hv/monitor/monitor_stats.h"
#include "hv/sched/sched.h"
#include "hv/monitor/send_queue.h"
#include "hv/console/terminal.h"
#include "hv/version.h"
#include "hv/x86/time.h"
#include "mm/base/log.h"
#include "mm/base/str.h"

#define BYTES_PER_TURN  64u
#define SENDS_PER_TURN  16u
#define PRESENT_NS      1000000000ull  /* after the last byte heard, or taken */
#define SUBSCRIPTION_NS 60000000000ull /* likewise */
#define PIECE_BYTES     400u           /* of a command's output, in one line */
#define ANSWER_BYTES    3072u          /* a piece of which each byte is escaped, and the rest */
#define STATS_ROOM      16384u         /* statistics wait while so much is queued */
#define LINES_PER_TURN  8u             /* of statistics */

static struct uart uart;
static struct send_queue queue;
static u64 poll_due_ns, heard_ns, sent_ns;
static u64 dropped; /* lines that found no room */

static struct {
	char text[MONITOR_LINE_BYTES + 1];
	u32 bytes;
	bool too_long;
} line;

static struct {
	char id[MONITOR_ID_BYTES]; /* of the request that is being answered */
	char piece[PIECE_BYTES];   /* of a command's output */
	u32 bytes;
	u64 dropped_before;
	bool runs;
} answer;

static struct {
	u64 period_ns; /* 0: there is none */
	u64 due_ns;    /* of the next sample, or of the one under way */
	u64 seq;
	const struct list *at; /* the VM whose line is next; NULL: no sample is under way */
	u64 vm_count;
} stats;

/* --- Out ------------------------------------------------------------------------------------- */

static void begin(struct json_write *j, const char *type)
{
	static char text[ANSWER_BYTES];

	json_write_begin(j, text, sizeof(text));
	json_write_u64(j, "bellows", MONITOR_VERSION);
	json_write_string(j, "type", type);
}

static void end(struct json_write *j)
{
	size_t bytes = json_write_end(j);

	if (bytes == 0 || !send_queue_put(&queue, j->buf, bytes))
		dropped++;
}

static void begin_answer(struct json_write *j, const char *type)
{
	begin(j, type);
	if (answer.id[0])
		json_write_string(j, "id", answer.id);
}

static void say_error(const char *why)
{
	struct json_write j;

	begin_answer(&j, "error");
	json_write_string(&j, "error", why);
	end(&j);
}

static void say_ok(const char *type)
{
	struct json_write j;

	begin_answer(&j, type);
	json_write_string(&j, "version", BELLOWS_VERSION);
	end(&j);
}

/* --- Commands -------------------------------------------------------------------------------- */

static void flush_output(void)
{
	struct json_write j;

	if (answer.bytes == 0)
		return;
	begin_answer(&j, "output");
	json_write_text(&j, "text", answer.piece, answer.bytes);
	end(&j);
	answer.bytes = 0;
}

static void on_output(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		answer.piece[answer.bytes++] = text[i];
		if (answer.bytes == PIECE_BYTES)
			flush_output();
	}
}

static void end_command(void)
{
	struct json_write j;

	flush_output();
	begin_answer(&j, "done");
	json_write_u64(&j, "dropped", dropped - answer.dropped_before);
	end(&j);
	answer.runs = false;
}

static void run(char *command)
{
	answer.dropped_before = dropped;
	answer.runs = true;
	console_run_for(command, on_output);
	end_command();
}

/* --- Statistics ------------------------------------------------------------------------------ */

static void subscribe(u64 now, u32 period_ms)
{
	stats.period_ns = period_ms * 1000000ull;
	stats.due_ns = now;
	stats.at = NULL;
	say_ok("ok");
}

static void unsubscribe(void)
{
	stats.period_ns = 0;
	stats.at = NULL;
	say_ok("ok");
}

static void begin_sample(u64 now)
{
	struct json_write j;

	begin(&j, "host");
	json_write_u64(&j, "seq", ++stats.seq);
	json_write_u64(&j, "dropped", dropped);
	monitor_stats_host(&j);
	end(&j);
	stats.at = sched_vms()->next;
	stats.vm_count = 0;
	/* Late is late: what was missed is not made up for. */
	stats.due_ns = max(stats.due_ns + stats.period_ns, now);
}

static void one_vm(void)
{
	const struct vm *vm = list_entry(stats.at, struct vm, all);
	struct json_write j;

	begin(&j, "vm");
	json_write_u64(&j, "seq", stats.seq);
	monitor_stats_vm(&j, vm);
	end(&j);
	stats.vm_count++;
	stats.at = stats.at->next;
}

static void end_sample(void)
{
	struct json_write j;

	begin(&j, "end");
	json_write_u64(&j, "seq", stats.seq);
	json_write_u64(&j, "vms", stats.vm_count);
	end(&j);
	stats.at = NULL;
}

/* A sample goes on over turns: a host may have many VMs, and the line is slow. */
static void send_stats(u64 now)
{
	if (stats.period_ns && now - heard_ns > SUBSCRIPTION_NS)
		stats.period_ns = 0;
	if (!stats.period_ns)
		return;
	for (u32 i = 0; i < LINES_PER_TURN && send_queue_bytes(&queue) < STATS_ROOM; i++) {
		if (!stats.at && now < stats.due_ns)
			return;
		if (!stats.at)
			begin_sample(now);
		else if (stats.at != sched_vms())
			one_vm();
		else
			end_sample();
	}
}

/* --- In -------------------------------------------------------------------------------------- */

static void carry_out(struct monitor_request *request, u64 now)
{
	switch (request->what) {
	case MONITOR_HELLO:
		say_ok("hello");
		break;
	case MONITOR_SUBSCRIBE:
		subscribe(now, request->period_ms);
		break;
	case MONITOR_UNSUBSCRIBE:
		unsubscribe();
		break;
	case MONITOR_COMMAND:
		run(request->command);
		break;
	}
}

static void on_line(u64 now)
{
	struct monitor_request request;
	const char *why;

	answer.id[0] = '\0';
	if (uart.overrun) {
		uart.overrun = false;
		say_error("bytes were lost: send an empty line, and the request after its answer");
	} else if (line.too_long) {
		say_error("a request has at most 512 bytes");
	} else if (line.bytes == 0) {
		say_ok("hello");
	} else {
		line.text[line.bytes] = '\0';
		err_t err = monitor_request_read(line.text, &request, &why);

		memcpy(answer.id, request.id, sizeof(answer.id));
		if (err)
			say_error(why);
		else
			carry_out(&request, now);
	}
	line.bytes = 0;
	line.too_long = false;
}

static void hear(u64 now)
{
	for (u32 i = 0; i < BYTES_PER_TURN; i++) {
		int byte = uart_read(&uart);

		if (byte < 0)
			return;
		heard_ns = now;
		if (byte == '\n')
			on_line(now);
		else if (line.bytes == MONITOR_LINE_BYTES)
			line.too_long = true;
		else if (byte != '\r')
			line.text[line.bytes++] = byte ? (char)byte : '?'; /* it would end it */
	}
}

/* --- Turns ----------------------------------------------------------------------------------- */

static void send(u64 now)
{
	u8 piece[UART_FIFO_BYTES];

	if (send_queue_bytes(&queue) == 0)
		sent_ns = now;
	for (u32 i = 0; i < SENDS_PER_TURN; i++) {
		size_t bytes = send_queue_peek(&queue, piece, sizeof(piece));
		size_t sent = bytes ? uart_send(&uart, piece, bytes) : 0;

		if (sent == 0)
			return;
		send_queue_take(&queue, sent);
		sent_ns = now;
	}
}

bool monitor_is_busy(void)
{
	u64 now = time_now_ns();

	return uart.present && (now - heard_ns < PRESENT_NS ||
				       (send_queue_bytes(&queue) && now - sent_ns < PRESENT_NS));
}

void monitor_work(u64 now)
{
	if (!uart.present || now < poll_due_ns)
		return;
	hear(now);
	send_stats(now);
	send(now);
	poll_due_ns = now + (monitor_is_busy() ? MONITOR_TURN_NS : SCHED_CONSOLE_NS);
}

void monitor_last_call(void)
{
	u8 piece[UART_FIFO_BYTES];
	size_t bytes;

	if (!uart.present)
		return;
	if (answer.runs)
		end_command();
	while ((bytes = send_queue_peek(&queue, piece, sizeof(piece))) > 0 &&
		uart_put(&uart, piece, bytes))
		send_queue_take(&queue, bytes);
	uart_drain(&uart);
}

void monitor_open(void)
{
	if (terminal_is_on(UART_COM2) || !uart_init(&uart, UART_COM2)) {
		log_info("monitor: no second serial line");
		return;
	}
	heard_ns = 0 - SUBSCRIPTION_NS; /* long ago */
	log_info("monitor: JSON, version %u, on the second serial line", MONITOR_VERSION);
}
