/*
 * bellowstop: a hypervisor's memory, as esxtop shows it, on a terminal or as CSV.
 *
 * The screen is drawn anew with each sample and each key; rows are VMs, sorted by a column whose
 * last minutes stand beside them as a sparkline. History is kept by the VM's name.
 */
#include "guest-tools/monitor/line.h"
#include "guest-tools/monitor/options.h"
#include "guest-tools/monitor/table.h"
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HISTORY 30
#define ROOM    64 /* VMs that are shown */

struct row {
	char name[SAMPLE_NAME_SIZE];
	const struct vm_sample *vm; /* in the last sample; NULL: it has gone */
	double columns[COLUMN_COUNT];
	double history[HISTORY][COLUMN_COUNT]; /* [0] is the newest */
	unsigned known;                        /* of them */
};

static struct line line;
static struct sample before;
static struct row rows[ROOM];
static size_t row_count;
static enum column sort_by = COLUMN_CNSM;
static bool sort_up, show_help;
static volatile sig_atomic_t stop;

/* --- Samples to rows ------------------------------------------------------------------------- */

static struct row *row_of(const char *name)
{
	for (size_t i = 0; i < row_count; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	if (row_count == ROOM)
		return NULL;
	struct row *row = &rows[row_count++];

	memset(row, 0, sizeof(*row));
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

static void remember(struct row *row)
{
	memmove(row->history[1], row->history[0], sizeof(row->history) - sizeof(row->history[0]));
	memcpy(row->history[0], row->columns, sizeof(row->columns));
	if (row->known < HISTORY)
		row->known++;
}

static uint64_t passed_ms(void)
{
	uint64_t then = before.host[HOST_TIME_MS], now = line.sample.host[HOST_TIME_MS];

	return before.vm_count && now > then ? now - then : 0;
}

static void take_sample(void)
{
	for (size_t i = 0; i < row_count; i++)
		rows[i].vm = NULL;
	for (size_t i = 0; i < line.sample.vm_count; i++) {
		struct row *row = row_of(line.sample.vms[i].name);

		if (!row)
			continue;
		row->vm = &line.sample.vms[i];
		table_columns(row->vm, sample_find(&before, row->name), passed_ms(), row->columns);
		remember(row);
	}
}

static int compare(const void *left, const void *right)
{
	double a = ((const struct row *)left)->columns[sort_by];
	double b = ((const struct row *)right)->columns[sort_by];

	if (a == b)
		return strcmp(((const struct row *)left)->name, ((const struct row *)right)->name);
	return (a < b) == sort_up ? -1 : 1;
}

/* --- The screen ------------------------------------------------------------------------------ */

static int width_of(enum column column)
{
	int bytes = (int)strlen(column_infos[column].name) + 1;

	return bytes > 8 ? bytes : 8;
}

/* The sorted column's history, oldest first, by the row's own greatest. */
static void draw_sparkline(const struct row *row, int room)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	double most = 0;

	for (unsigned i = 0; i < row->known; i++)
		most = row->history[i][sort_by] > most ? row->history[i][sort_by] : most;
	addstr(" ");
	for (int i = room < (int)row->known ? room : (int)row->known; i > 0; i--) {
		double part = most > 0 ? row->history[i - 1][sort_by] / most : 0;

		addstr(bars[(int)(part * 7 + 0.5)]);
	}
}

static void draw_row(const struct row *row, int y)
{
	bool bad = strcmp(row->vm->health, "hmm") == 0 || strcmp(row->vm->health, "oops") == 0;

	move(y, 0);
	attrset(bad ? A_BOLD : A_NORMAL);
	printw("%-12.12s %-8.8s %-7.7s", row->name, row->vm->state, row->vm->health);
	for (int i = 0; i < COLUMN_COUNT && getcurx(stdscr) + width_of(i) < COLS; i++)
		printw("%*.*f", width_of(i), i == COLUMN_SWIN99 ? 0 : 1, row->columns[i]);
	attrset(A_NORMAL);
	if (COLS - getcurx(stdscr) > 2)
		draw_sparkline(row, COLS - getcurx(stdscr) - 2);
}

static void draw_host(void)
{
	const uint64_t *host = line.sample.host;

	mvprintw(0, 0, "bellowstop  %s", line.why[0] ? line.why : line.path);
	if (line.samples == 0)
		return;
	mvprintw(1, 0,
		"host: %.1f MiB, free %.1f, minfree %.1f, state %s, overcommit %.2f, health %s",
		(double)host[HOST_MEMORY] / 1048576, (double)host[HOST_FREE] / 1048576,
		(double)host[HOST_MIN_FREE] / 1048576, line.sample.state,
		table_overcommit(&line.sample), table_health(&line.sample));
	if (host[HOST_DROPPED])
		printw(", %llu lines dropped", (unsigned long long)host[HOST_DROPPED]);
}

static void draw_titles(int y)
{
	move(y, 0);
	attrset(A_REVERSE);
	printw("%-12s %-8s %-7s", "NAME", "STATE", "HEALTH");
	for (int i = 0; i < COLUMN_COUNT && getcurx(stdscr) + width_of(i) < COLS; i++) {
		attrset(i == (int)sort_by ? A_REVERSE | A_BOLD | A_UNDERLINE : A_REVERSE);
		printw("%*s", width_of(i), column_infos[i].name);
	}
	attrset(A_NORMAL);
}

static void draw_help(void)
{
	mvprintw(3, 0,
		"Keys:  h or ?  this help     < >  the column to sort by and to draw     r  the other way round     q  leave");
	for (int i = 0; i < COLUMN_COUNT && 5 + i < LINES; i++)
		mvprintw(5 + i, 2, "%-9s %s", column_infos[i].name, column_infos[i].help);
}

static void draw(void)
{
	int y = 4;

	erase();
	draw_host();
	if (show_help) {
		draw_help();
	} else {
		qsort(rows, row_count, sizeof(rows[0]), compare);
		draw_titles(3);
		for (size_t i = 0; i < row_count && y < LINES; i++) {
			if (rows[i].vm)
				draw_row(&rows[i], y++);
		}
	}
	refresh();
}

/* Whether to go on. */
static bool on_key(int key)
{
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		show_help = !show_help;
		break;
	case '<':
	case KEY_LEFT:
		sort_by = (sort_by + COLUMN_COUNT - 1) % COLUMN_COUNT;
		break;
	case '>':
	case KEY_RIGHT:
		sort_by = (sort_by + 1) % COLUMN_COUNT;
		break;
	case 'r':
		sort_up = !sort_up;
		break;
	}
	return true;
}

static int run_screen(void)
{
	bool go_on = true;
	int key;

	initscr();
	cbreak();
	noecho();
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	curs_set(0);
	while (go_on && !stop) {
		draw();
		if (line_step(&line, STDIN_FILENO, 1000)) {
			take_sample();
			if (!sample_copy(&before, &line.sample))
				break;
		}
		while (go_on && (key = getch()) != ERR)
			go_on = on_key(key);
	}
	endwin();
	return 0;
}

/* --- Batch ----------------------------------------------------------------------------------- */

static void print_titles(void)
{
	printf("time_s,host_state,host_free_mib,vm,state,health");
	for (int i = 0; i < COLUMN_COUNT; i++)
		printf(",%s", column_infos[i].csv);
	printf("\n");
}

static void print_sample(void)
{
	const struct sample *s = &line.sample;
	double columns[COLUMN_COUNT];

	for (size_t i = 0; i < s->vm_count; i++) {
		const struct vm_sample *vm = &s->vms[i];

		table_columns(vm, sample_find(&before, vm->name), passed_ms(), columns);
		printf("%.3f,%s,%.1f,%s,%s,%s", (double)s->host[HOST_TIME_MS] / 1000, s->state,
			(double)s->host[HOST_FREE] / 1048576, vm->name, vm->state, vm->health);
		for (int c = 0; c < COLUMN_COUNT; c++)
			printf(",%.2f", columns[c]);
		printf("\n");
	}
	fflush(stdout);
}

/* @most samples; 0: without end, or as many as were recorded. */
static int run_batch(unsigned long most)
{
	char told[LINE_WHY_SIZE] = "";

	print_titles();
	for (unsigned long done = 0; !stop && (most == 0 || done < most);) {
		if (line_step(&line, -1, 1000)) {
			print_sample();
			done++;
			if (!sample_copy(&before, &line.sample))
				return 1;
			continue;
		}
		if (line.has_ended)
			return done ? 0 : 1;
		if (strcmp(told, line.why) != 0)
			fprintf(stderr, "bellowstop: %s\n", line.why[0] ? line.why : "connected");
		memcpy(told, line.why, sizeof(told));
		if (ferror(stdout))
			return 1;
	}
	return 0;
}

/* --- Start ----------------------------------------------------------------------------------- */

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

const char *argp_program_version = "bellowstop " BELLOWS_VERSION;

struct own_options {
	struct options both;
	unsigned long samples;
	bool batch;
};

static error_t parse(int key, char *word, struct argp_state *state)
{
	struct own_options *own = state->input;
	char *end;

	switch (key) {
	case 'b':
		own->batch = true;
		return 0;
	case 'n':
		own->samples = strtoul(word, &end, 10);
		if (end == word || *end || *word == '-')
			argp_error(state, "-n %s: a number is wanted", word);
		return 0;
	default:
		return options_parse(key, word, state);
	}
}

static const struct argp_option options[] = {
	{.name = "batch", .key = 'b', .doc = "Write CSV instead of the screen"},
	{.name = "samples", .key = 'n', .arg = "COUNT", .doc = "With -b: end after so many"},
	{.name = "delay",
		.key = 'd',
		.arg = "SECONDS",
		.doc = "Time between samples, 0.1 to 60; 1 if not given"},
	{0},
};
static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "LINE",
	.doc = "Show how the virtual machines of a Bellows host share its memory.\v"
	       "LINE: QEMU's socket, a serial device, or a file with what one said",
};

int main(int argc, char **argv)
{
	struct own_options own = {.both.seconds = 1};

	options_read(&argp, argc, argv, &own.both);
	setlocale(LC_ALL, "");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	if (!line_init(&line, own.both.line, (unsigned)(own.both.seconds * 1000)))
		return 1;
	int status = own.batch ? run_batch(own.samples) : run_screen();

	line_close(&line);
	sample_free(&before);
	return status;
}
