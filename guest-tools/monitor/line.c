/*
 * States: closed (fd -1); open and not answered, an empty line goes out each second; answered, a
 * subscription goes out each second until it is understood (a busy hypervisor may lose bytes of it,
 * and says so), and then each SUBSCRIBE_MS. Silence for SILENCE_MS closes it: it begins anew.
 */
#include "guest-tools/monitor/line.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define LINE_MOST    65536
#define RETRY_MS     1000
#define SUBSCRIBE_MS 20000
#define SILENCE_MS   15000

uint64_t line_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool line_init(struct line *l, const char *path, unsigned period_ms)
{
	*l = (struct line){.path = path, .period_ms = period_ms, .fd = -1};
	snprintf(l->why, sizeof(l->why), "%s: not connected yet", path);
	l->text = malloc(LINE_MOST);
	return l->text != NULL;
}

static void hang_up(struct line *l, const char *why)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->bytes = 0;
	l->is_answered = false;
	l->building.is_open = false;
	l->next_ms = line_now_ms() + RETRY_MS;
	snprintf(l->why, sizeof(l->why), "%s: %s", l->path, why);
}

void line_close(struct line *l)
{
	hang_up(l, "closed");
	sample_free(&l->building);
	sample_free(&l->sample);
	free(l->text);
}

/* --- Opening --------------------------------------------------------------------------------- */

static int open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
	} else {
		strcpy(address.sun_path, path);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
	}
	int why = errno;

	close(fd);
	errno = why;
	return -1;
}

/* 115200 8N1, bytes as they are. */
static bool set_up_terminal(int fd)
{
	struct termios mode;

	if (!isatty(fd))
		return true;
	if (tcgetattr(fd, &mode) != 0)
		return false;
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&mode, B115200);
	return tcsetattr(fd, TCSANOW, &mode) == 0;
}

static int open_path(struct line *l)
{
	struct stat what;

	if (stat(l->path, &what) != 0)
		return -1;
	l->is_recording = S_ISREG(what.st_mode);
	if (S_ISSOCK(what.st_mode))
		return open_socket(l->path);
	int fd = open(
		l->path, (l->is_recording ? O_RDONLY : O_RDWR) | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && !set_up_terminal(fd)) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static void open_line(struct line *l, uint64_t now)
{
	l->fd = open_path(l);
	if (l->fd < 0) {
		hang_up(l, strerror(errno));
		return;
	}
	fcntl(l->fd, F_SETFL, fcntl(l->fd, F_GETFL) | O_NONBLOCK);
	l->next_ms = l->heard_ms = now;
	snprintf(l->why, sizeof(l->why), "%s: no answer yet", l->path);
}

/* --- Out ------------------------------------------------------------------------------------- */

/* A request is short: a line that does not take it at once is broken. */
static void say(struct line *l, const char *text)
{
	size_t bytes = strlen(text);

	if (send(l->fd, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes)
		return;
	if (errno != ENOTSOCK || write(l->fd, text, bytes) != (ssize_t)bytes)
		hang_up(l, "it takes no requests");
}

static void say_what_is_due(struct line *l, uint64_t now)
{
	char text[80];

	if (l->is_recording || now < l->next_ms)
		return;
	l->next_ms = now + RETRY_MS;
	if (!l->is_answered) {
		say(l, "\n");
		return;
	}
	snprintf(text, sizeof(text), "{\"subscribe\":\"stats\",\"period_ms\":%u}\n", l->period_ms);
	say(l, text);
}

/* --- In -------------------------------------------------------------------------------------- */

static bool speaks_our_version(struct line *l, json_object *object)
{
	json_object *protocol = json_object_object_get(object, "bellows");

	if (!protocol)
		return false;
	if (json_object_get_int(protocol) == SAMPLE_PROTOCOL)
		return true;
	snprintf(l->why, sizeof(l->why), "%s: speaks version %d of the protocol, not %d", l->path,
		json_object_get_int(protocol), SAMPLE_PROTOCOL);
	return false;
}

static bool is_type(json_object *object, const char *wanted)
{
	const char *type = json_object_get_string(json_object_object_get(object, "type"));

	return type && strcmp(type, wanted) == 0;
}

/* Whether a sample became whole by it. */
static bool take_object(struct line *l, json_object *object)
{
	if (!json_object_is_type(object, json_type_object) || !speaks_our_version(l, object))
		return false;
	if (!l->is_answered && is_type(object, "hello")) {
		l->is_answered = true;
		l->next_ms = 0;
		snprintf(l->why, sizeof(l->why), "%s: no sample yet", l->path);
	}
	if (l->is_answered && is_type(object, "ok"))
		l->next_ms = line_now_ms() + SUBSCRIBE_MS;
	if (!sample_take(&l->building, object) || !sample_copy(&l->sample, &l->building))
		return false;
	l->why[0] = '\0';
	l->samples++;
	return true;
}

/* A line that is no JSON is not the hypervisor's: the firmware's, or what a lost byte has left. */
static bool take_line(struct line *l, const char *text, size_t bytes)
{
	struct json_tokener *tokener = json_tokener_new();
	bool whole = false;

	if (!tokener)
		return false;
	json_object *object = json_tokener_parse_ex(tokener, text, (int)bytes);

	if (object)
		whole = take_object(l, object);
	json_object_put(object);
	json_tokener_free(tokener);
	return whole;
}

/* Lines up to the end of a sample. */
static bool take_lines(struct line *l)
{
	size_t from = 0;
	bool whole = false;
	char *end;

	while (!whole && (end = memchr(l->text + from, '\n', l->bytes - from)) != NULL) {
		size_t bytes = (size_t)(end - (l->text + from));

		whole = take_line(l, l->text + from, bytes);
		from += bytes + 1;
	}
	l->bytes -= from;
	memmove(l->text, l->text + from, l->bytes);
	if (l->bytes == LINE_MOST)
		l->bytes = 0; /* no line is that long: nonsense */
	return whole;
}

static void hear(struct line *l, uint64_t now)
{
	ssize_t got = read(l->fd, l->text + l->bytes, LINE_MOST - l->bytes);

	if (got > 0) {
		l->bytes += (size_t)got;
		l->heard_ms = now;
	} else if (got == 0 && l->is_recording) {
		l->has_ended = true;
	} else if (got == 0) {
		hang_up(l, "the other end has gone");
	} else if (errno != EAGAIN && errno != EINTR) {
		hang_up(l, strerror(errno));
	}
}

bool line_step(struct line *l, int also, int timeout_ms)
{
	uint64_t now = line_now_ms();

	/* What was read already may hold more than one sample. */
	if (l->fd >= 0 && take_lines(l))
		return true;
	if (l->fd < 0 && now >= l->next_ms)
		open_line(l, now);
	if (l->fd >= 0)
		say_what_is_due(l, now);
	struct pollfd wait[] = {{l->has_ended ? -1 : l->fd, POLLIN, 0}, {also, POLLIN, 0}};

	if (poll(wait, 2, timeout_ms) < 0)
		return false;
	if (l->fd >= 0 && wait[0].revents)
		hear(l, line_now_ms());
	if (l->fd >= 0 && !l->is_recording &&
		line_now_ms() - l->heard_ms > SILENCE_MS + l->period_ms)
		hang_up(l, "it says nothing");
	return l->fd >= 0 && take_lines(l);
}
