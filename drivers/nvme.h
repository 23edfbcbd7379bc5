/*
 * NVMe controllers: any of version 1.0 or later. Each namespace becomes a struct blk_device.
 *
 * A controller is a state machine that nvme_poll() drives; nothing in it waits. At boot
 * nvme_start() polls until it is ready or dead, both within the time the controller itself asks
 * for. A request that is late is aborted; if that does not bring it back, the controller is reset
 * and what was under way is given to it again; if resets do not help it is cut off the bus, and is
 * dead for good. A command that fails without "do not retry" is tried again, three times in all.
 *
 * Nothing that the device says is trusted: completions must name a command that is under way, in
 * the queue they come in, with the tag of its last life; sizes are bounded.
 *
 * Each CPU has a queue pair for its requests, or, where the controller grants fewer, shares one:
 * CPU c's is c % pairs. Where each pair's interrupts come to a CPU of its (nvme_bus.is_steered), a
 * CPU takes its own pair's completions, and only the controller itself, its time limits and its
 * resets are one CPU's; else all is that one's.
 *
 * All access to the machine goes through struct nvme_bus: nvme_pci.c is the real one.
 */
#ifndef DRIVERS_NVME_H
#define DRIVERS_NVME_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/blk.h"

struct nvme;

struct nvme_bus {
	u32 (*read)(const struct nvme_bus *bus, u32 offset);
	void (*write)(const struct nvme_bus *bus, u32 offset, u32 value);
	/* Zeroed, contiguous pages that the device can reach; set-up only. NULL: none. */
	void *(*alloc)(const struct nvme_bus *bus, u32 pages, hpa_t *at);
	/* The device must do no DMA from here on. */
	void (*cut_off)(const struct nvme_bus *bus);
	u32 register_bytes; /* how much of the registers can be reached */
	u32 vector_count;   /* interrupt messages, 0: none, it must be polled */
	bool has_msix;      /* they are MSI-X; else the mask registers count */
	bool is_steered; /* each queue pair's goes to a CPU that uses it; set after nvme_start() */
};

enum nvme_state {
	NVME_DISABLING,  /* waits for not ready */
	NVME_ENABLING,   /* waits for ready */
	NVME_SETTING_UP, /* identifies, makes queues */
	NVME_READY,
	NVME_DEAD,
};

struct nvme_stats {
	u64 completed, failed;  /* requests, as their callers saw them */
	u64 retried;            /* commands tried again after an error or a reset */
	u64 timed_out, aborted; /* late commands; those that an abort brought back */
	u64 resets;
	u64 bad_completions; /* entries that belong to no command under way */
};

struct nvme_pair_stats {
	u64 completions; /* of requests' commands */
	u64 interrupts;  /* that came to a CPU which uses it */
};

/**
 * A new controller, nothing asked of it yet.
 * @bus: lives as long as the controller, that is for ever. @name: "nvme0". @cpu_count: at most so
 * many queue pairs for requests are made.
 * Returns NULL if there is no memory.
 */
struct nvme *nvme_create(const struct nvme_bus *bus, const char *name, u32 cpu_count);

/* The time limits; a new controller's are 10 s for a request, then 5 s for its abort. */
void nvme_set_limits(struct nvme *nvme, u64 request_ns, u64 abort_ns);

/**
 * Bring it up, polling: @now gives the time, in ns. The boot CPU, once.
 * Returns 0; E_IO, E_UNSUPPORTED, E_CORRUPT: it is dead, nvme_why() tells.
 */
must_check err_t nvme_start(struct nvme *nvme, u64 (*now)(void));

/* As blk_poll() for all namespaces of the controller: all pairs, and the controller itself. */
void nvme_poll(struct nvme *nvme, u64 now_ns);
/*
 * This CPU's part of that: its pair's completions, if they are its own to take. @leads: it is the
 * one that looks after the controller, and takes what is nobody else's; always the same CPU.
 * Returns how many requests were handed back. Often: after every device interrupt, and some times a
 * second anyway. Cost, with nothing to do: a look at its pair's ring.
 */
u32 nvme_turn(struct nvme *nvme, u64 now_ns, bool leads);
/* Requests under way, and no interrupt to say when they are done? */
bool nvme_must_poll(const struct nvme *nvme);

/* From the interrupt handler: nothing but a note that there is something to do. */
void nvme_interrupted(struct nvme *nvme);

enum nvme_state nvme_state(const struct nvme *nvme);
const char *nvme_state_name(enum nvme_state state);
/* Why it is dead, or why it was reset last; never NULL. */
const char *nvme_why(const struct nvme *nvme);
const char *nvme_name(const struct nvme *nvme);
const char *nvme_model(const struct nvme *nvme);
const char *nvme_serial(const struct nvme *nvme);
u32 nvme_version(const struct nvme *nvme); /* major (31:16), minor (15:8) */
u32 nvme_queue_count(const struct nvme *nvme);
u32 nvme_queue_depth(const struct nvme *nvme);
u64 nvme_interrupt_count(const struct nvme *nvme);
struct nvme_stats nvme_stats(const struct nvme *nvme);
/* Of the pair that CPU @pair, below nvme_queue_count(), uses. */
struct nvme_pair_stats nvme_pair_stats(const struct nvme *nvme, u32 pair);

/* The namespaces that can be used: 0 .. count - 1, fixed once it was started. */
u32 nvme_namespace_count(const struct nvme *nvme);
struct blk_device *nvme_namespace(struct nvme *nvme, u32 index);

#endif
