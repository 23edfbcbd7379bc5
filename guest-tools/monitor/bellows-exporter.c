/*
 * bellows-exporter: the second serial line for Prometheus. One thread keeps the line;
 * libmicrohttpd's answers with the last sample, as long as that is not older than three periods.
 *
 * Lock: shared.lock guards .sample, .samples, .received_ms.
 */
#include "guest-tools/monitor/line.h"
#include "guest-tools/monitor/metrics.h"
#include "guest-tools/monitor/options.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LISTEN "127.0.0.1:9797"
#define CONNECTIONS    32

static struct {
	pthread_mutex_t lock;
	struct sample sample;
	uint64_t samples, received_ms;
	unsigned period_ms; /* fixed */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static volatile sig_atomic_t stop;

/* --- Answers --------------------------------------------------------------------------------- */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
	char *text, size_t bytes, enum MHD_ResponseMemoryMode whose)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes, text, whose);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_words(
	struct MHD_Connection *connection, unsigned status, const char *words)
{
	return reply(connection, status, "text/plain; charset=utf-8", (char *)words, strlen(words),
		MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result reply_metrics(struct MHD_Connection *connection)
{
	size_t bytes = 0;

	pthread_mutex_lock(&shared.lock);
	bool fresh =
		shared.samples && line_now_ms() - shared.received_ms < 3 * shared.period_ms + 1000;
	char *text = metrics_text(fresh ? &shared.sample : NULL, shared.samples, &bytes);

	pthread_mutex_unlock(&shared.lock);
	if (!text)
		return MHD_NO;
	return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text,
		bytes, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_bytes,
	void **state)
{
	(void)context;
	(void)version;
	(void)upload;
	(void)state;
	if (*upload_bytes)
		*upload_bytes = 0;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (strcmp(url, "/metrics") == 0)
		return reply_metrics(connection);
	if (strcmp(url, "/") == 0)
		return reply_words(connection, MHD_HTTP_OK, "bellows-exporter: see /metrics\n");
	return reply_words(connection, MHD_HTTP_NOT_FOUND, "there is only /metrics\n");
}

/* --- The line -------------------------------------------------------------------------------- */

static void keep(const struct line *line)
{
	pthread_mutex_lock(&shared.lock);
	if (sample_copy(&shared.sample, &line->sample)) {
		shared.samples = line->samples;
		shared.received_ms = line_now_ms();
	}
	pthread_mutex_unlock(&shared.lock);
}

static void follow(struct line *line)
{
	char told[LINE_WHY_SIZE] = "";

	while (!stop) {
		if (line_step(line, -1, 1000))
			keep(line);
		if (strcmp(told, line->why) != 0)
			fprintf(stderr, "bellows-exporter: %s\n",
				line->why[0] ? line->why : "samples come");
		memcpy(told, line->why, sizeof(told));
	}
}

/* --- Start ----------------------------------------------------------------------------------- */

/* ADDRESS:PORT or PORT, IPv4. */
static bool parse_address(const char *text, struct sockaddr_in *out)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	char host[INET_ADDRSTRLEN] = "0.0.0.0";
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	if (colon && (size_t)(colon - text) >= sizeof(host))
		return false;
	if (colon) {
		memcpy(host, text, (size_t)(colon - text));
		host[colon - text] = '\0';
	}
	*out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
	return end > port && *end == '\0' && number <= 65535 &&
	       inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

static struct MHD_Daemon *start(const struct sockaddr_in *address)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
		on_request, NULL, MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_CONNECTION_LIMIT,
		CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, 30, MHD_OPTION_END);
	const union MHD_DaemonInfo *info;

	if (!daemon)
		return NULL;
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (info)
		fprintf(stderr, "bellows-exporter: listening on port %u\n", info->port);
	return daemon;
}

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

const char *argp_program_version = "bellows-exporter " BELLOWS_VERSION;

struct own_options {
	struct options both;
	const char *listen_on;
	struct sockaddr_in address;
};

static error_t parse(int key, char *word, struct argp_state *state)
{
	struct own_options *own = state->input;

	if (key != 'l')
		return options_parse(key, word, state);
	own->listen_on = word;
	if (!parse_address(word, &own->address))
		argp_error(state, "-l %s: [ADDRESS:]PORT is wanted, ADDRESS as a.b.c.d", word);
	return 0;
}

static const struct argp_option options[] = {
	{.name = "listen",
		.key = 'l',
		.arg = "[ADDRESS:]PORT",
		.doc = "Where to answer, IPv4; " DEFAULT_LISTEN " if not given"},
	{.name = "delay",
		.key = 'd',
		.arg = "SECONDS",
		.doc = "How often the hypervisor is to tell, 0.1 to 60; 5 if not given"},
	{0},
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "LINE",
	.doc = "Offer the memory figures of a Bellows host to Prometheus.\v"
	       "LINE: QEMU's socket or a serial device",
};

int main(int argc, char **argv)
{
	struct own_options own = {.both.seconds = 5, .listen_on = DEFAULT_LISTEN};
	struct MHD_Daemon *daemon;
	struct line line;

	parse_address(own.listen_on, &own.address);
	options_read(&argp, argc, argv, &own.both);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	shared.period_ms = (unsigned)(own.both.seconds * 1000);
	if (!line_init(&line, own.both.line, shared.period_ms))
		return 1;
	daemon = start(&own.address);
	if (!daemon) {
		fprintf(stderr, "bellows-exporter: cannot listen on %s: %m\n", own.listen_on);
		return 1;
	}
	follow(&line);
	MHD_stop_daemon(daemon);
	line_close(&line);
	sample_free(&shared.sample);
	return 0;
}
