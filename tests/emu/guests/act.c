/*
 * Deeds a test asks a Linux guest to do, one word each: proper ones whose effect the hypervisor
 * must get right, and bad ones that it must answer to this guest alone.
 *
 * Prints "ACTION name ok" or "ACTION name FAIL why" after each; the bad ones never return.
 */
#include "tests/emu/guests/act.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define LAPIC_BASE 0xfee00000ul
#define LAPIC_ID   0x20

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile uint8_t *map_physical(uint64_t address)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC);
	void *at;

	if (fd < 0)
		return NULL;
	at = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)address);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/* Read and write one word of memory that this machine does not have. */
static const char *touch_beyond(uint64_t address)
{
	volatile uint32_t *word = (volatile uint32_t *)map_physical(address);

	if (!word)
		return "/dev/mem refused";
	printf("ACTION touching %#llx\n", (unsigned long long)address);
	fflush(stdout);
	*word = 0x12345678;
	printf("ACTION read %#x there\n", *word);
	return NULL;
}

static const char *act_oob(void)
{
	return touch_beyond(0x80000000ul);
}

static const char *act_oob_high(void)
{
	return touch_beyond(0x1000000000ul);
}

/* An instruction no kernel uses on a device: the hypervisor's decoder need not know it. */
static const char *act_mmio(void)
{
	volatile uint8_t *lapic = map_physical(LAPIC_BASE);
	uint32_t value = 1;

	if (!lapic)
		return "/dev/mem refused";
	printf("ACTION xadd on the local APIC\n");
	fflush(stdout);
	asm volatile("lock xaddl %0, %1"
		     : "+r"(value), "+m"(*(volatile uint32_t *)(lapic + LAPIC_ID)));
	return NULL;
}

/* Ports that test firmware and old BIOSes like; nothing may come of them. */
static const char *act_ports(void)
{
	if (iopl(3) != 0)
		return "iopl";
	outb(0x31, 0xf4);
	outb(0x31, 0x80);
	outl(0x31, 0xf4);
	(void)inb(0x80);
	if (inb(0xf4) != 0xff && inb(0xf4) != 0)
		return "port 0xf4 answers";
	return NULL;
}

/* Vector registers must survive everything that happens to this CPU meanwhile. */
static const char *act_avx(void)
{
	static const uint8_t pattern[32] __attribute__((aligned(32))) =
		"Each register is one of a kind.";
	uint8_t back[32] __attribute__((aligned(32)));
	double end = now_seconds() + 2;

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("avx2"))
		return "no AVX2 here";
	for (uint64_t i = 1; now_seconds() < end; i++) {
		asm volatile("vmovdqa %1, %%ymm13\n\t"
			     "mov $100000, %%ecx\n"
			     "1: dec %%ecx\n\t"
			     "jnz 1b\n\t"
			     "vmovdqa %%ymm13, %0"
			     : "=m"(back)
			     : "m"(pattern)
			     : "rcx", "ymm13", "cc");
		if (memcmp(back, pattern, sizeof(back)) != 0)
			return "a vector register changed";
	}
	return NULL;
}

/* A second must last a second by both clocks the guest has, and the source must be a good one. */
static const char *act_clock(void)
{
	char source[32] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY);
	double start = now_seconds();
	time_t wall = time(NULL);

	if (fd >= 0) {
		ssize_t length = read(fd, source, sizeof(source) - 1);

		source[length > 0 ? length : 0] = '\0';
		source[strcspn(source, "\n")] = '\0';
		close(fd);
	}
	usleep(1100000);
	printf("ACTION clocksource %s, 1.1 s took %.2f s, year %d\n", source, now_seconds() - start,
		1970 + (int)(wall / 31556952));
	if (now_seconds() - start < 1.0)
		return "time runs too fast";
	if (strcmp(source, "tsc") != 0 && strcmp(source, "kvm-clock") != 0)
		return "no trustworthy clock";
	return NULL;
}

static const char *act_hang(void)
{
	for (;;)
		asm volatile("");
	return NULL;
}

static const char *act_idle(void)
{
	for (;;)
		pause();
	return NULL;
}

static const char *act_sleep(void)
{
	printf("ACTION sleeping\n");
	sleep(3);
	return NULL;
}

static const char *act_panic(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (fd < 0 || write(fd, "c", 1) != 1)
		return "no sysrq";
	return "still alive";
}

/* With reboot=t on the kernel command line this is a triple fault; other letters, other ways. */
static const char *act_reboot(void)
{
	reboot(RB_AUTOBOOT);
	return "still alive";
}

#define FRAGMENT_BYTES (96ul << 20)

/*
 * Leave free memory in single pages: every other page of so much stays in use, by a process in the
 * background, until that is killed.
 */
static const char *act_fragment(void)
{
	int ready[2];
	char byte;

	if (pipe(ready) != 0)
		return "pipe";
	if (fork() == 0) {
		char *at = mmap(NULL, FRAGMENT_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED || madvise(at, FRAGMENT_BYTES, MADV_NOHUGEPAGE) != 0)
			_exit(1);
		memset(at, 1, FRAGMENT_BYTES);
		for (size_t i = 0; i < FRAGMENT_BYTES; i += 2 * PAGE_BYTES)
			madvise(at + i, PAGE_BYTES, MADV_DONTNEED);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 1 ? NULL : "no memory";
}

/* Start /boot/vmlinuz in this one's place, with this one's command line and some words more. */
static const char *act_kexec(void)
{
	int kernel = open("/boot/vmlinuz", O_RDONLY), initrd = open("/boot/initrd.img", O_RDONLY);
	int fd = open("/proc/cmdline", O_RDONLY);
	char words[1024];
	ssize_t length = read(fd, words, sizeof(words) / 2);

	if (kernel < 0 || initrd < 0 || length <= 0)
		return "no kernel";
	strcpy(words + length - 1, " bellows.tools=kexeced");
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(words) + 1, words, 0) != 0)
		return "refused";
	reboot(RB_KEXEC);
	return "still alive";
}

static const struct {
	const char *name;
	const char *(*run)(void); /* returns what went wrong, or NULL */
} deeds[] = {
	{"oob", act_oob},
	{"oob-high", act_oob_high},
	{"mmio", act_mmio},
	{"ports", act_ports},
	{"avx", act_avx},
	{"clock", act_clock},
	{"cpus", act_cpus},
	{"flush", act_flush},
	{"hang", act_hang},
	{"idle", act_idle},
	{"sleep", act_sleep},
	{"panic", act_panic},
	{"reboot", act_reboot},
	{"fragment", act_fragment},
	{"kexec", act_kexec},
};

static int act(const char *name)
{
	for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		const char *wrong;

		if (strcmp(name, deeds[i].name) != 0)
			continue;
		wrong = deeds[i].run();
		printf("ACTION %s %s%s\n", name, wrong ? "FAIL " : "ok", wrong ? wrong : "");
		return wrong != NULL;
	}
	printf("ACTION %s FAIL unknown\n", name);
	return 1;
}

int main(int argc, char **argv)
{
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 512);
	if (argc != 2)
		return 1;
	for (char *name = strtok(argv[1], ","); name; name = strtok(NULL, ","))
		failed |= act(name);
	return failed;
}
