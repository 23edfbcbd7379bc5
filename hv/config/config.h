/*
 * bellows.conf as the hypervisor understands it. A mistake is reported with its line and what is
 * allowed; the VM concerned is kept in the list but marked not startable, with its first problem; a
 * mistake in [host] leaves that key's default. Pure: text in, structures out, nothing allocated.
 */
#ifndef HV_CONFIG_CONFIG_H
#define HV_CONFIG_CONFIG_H

#include "mm/base/types.h"
#include "mm/base/err.h"

/* All with the NUL. */
#define CONFIG_NAME_BYTES    32
#define CONFIG_PATH_BYTES    128
#define CONFIG_CMDLINE_BYTES 2048
#define CONFIG_MODULES_BYTES 1024
#define CONFIG_PROBLEM_BYTES 192
#define CONFIG_VM_MEMORY_MIN MIB(8)
#define CONFIG_VCPUS_MAX     64u

/* A size that may be stated as a share: bytes if pct is 0. */
struct config_amount {
	u64 bytes;
	u32 pct;
};

enum config_states { CONFIG_STATES_SLIDING, CONFIG_STATES_FIXED };
enum config_victims { CONFIG_VICTIMS_COLD, CONFIG_VICTIMS_RANDOM };

/* [host] */
struct host_config {
	bool autostop;           /* power off when all VMs have ended */
	bool guest_output;       /* guest.output: show guests' lines on the console; default yes */
	u32 share_scan_time_min; /* Mem.ShareScanTime */
	u32 share_scan_mib_s_per_ghz; /* Mem.ShareScanGHz */
	u32 share_rate_max_pages_s;   /* Mem.ShareRateMax */
	u32 share_force_salting;      /* Mem.ShareForceSalting: 0, 1, 2 */
	bool zip_enable;              /* Mem.MemZipEnable */
	u32 zip_max_pct;              /* Mem.MemZipMaxPct */
	u32 idle_tax_pct;             /* Mem.IdleTax */
	u32 sample_period_s;          /* Mem.SamplePeriod */
	u32 balance_period_s;         /* Mem.BalancePeriod */
	u32 ctl_max_pct;              /* Mem.CtlMaxPercent */
	u64 balloon_max_slack_bytes;  /* Mem.AppBalloonMaxSlack */
	u32 min_free_pct;             /* Mem.MemMinFreePct: 0 = sliding scale */
	u32 balloon_inflate_pages_s;  /* Mem.BalloonInflateRate: 0 = the balloon's own default */
	u32 balloon_deflate_pages_s;  /* Mem.BalloonDeflateRate */
	bool large_pages;             /* Mem.AllocGuestLargePage */
	enum config_states states;
	enum config_victims victims; /* Mem.VictimPolicy */
};

/* [vm NAME] */
struct vm_config {
	char name[CONFIG_NAME_BYTES];
	u32 line; /* of its section */
	bool startable;
	char problem[CONFIG_PROBLEM_BYTES]; /* "line N: ...", why it is not startable */

	bool autostart;
	u64 memory_bytes;
	u32 vcpus;
	char kernel[CONFIG_PATH_BYTES];     /* as written: a name among the loader's files */
	char initrd[CONFIG_PATH_BYTES];     /* "" = none */
	char modules[CONFIG_MODULES_BYTES]; /* PATH [WORDS], ...: behind the initrd; ELF kernels */
	char cmdline[CONFIG_CMDLINE_BYTES];
	char disk[CONFIG_PATH_BYTES]; /* "" = none */
	bool debug_hypercalls;        /* debug.hypercalls: the hypercalls that only tests use */
	u32 debug_hide_every; /* debug.hide: hide private pages every so many exits; 0 = never */

	u32 debug_reclaim_every; /* debug.reclaim: reclaim all every so many exits; 0 = never */

	bool reservation_given;             /* sched.mem.min was stated */
	u64 reservation_bytes;              /* sched.mem.min */
	u32 reservation_line;               /* where it was stated, or 0 */
	u64 limit_bytes;                    /* sched.mem.max; memory_bytes where not stated */
	u64 shares;                         /* sched.mem.shares */
	u64 startup_bytes;                  /* memory.startup; memory_bytes where not stated */
	u64 min_bytes;                      /* memory.min; 0 where not stated */
	struct config_amount balloon_max;   /* sched.mem.maxmemctl */
	bool share_enable;                  /* sched.mem.pshare.enable */
	char share_salt[CONFIG_NAME_BYTES]; /* sched.mem.pshare.salt; "" = its own */
	char swap_dir[CONFIG_PATH_BYTES];   /* sched.swap.dir; "" = first swap volume */
	u32 swap_dir_line;                  /* where it stands; 0: nowhere */
};

struct config {
	struct host_config host;
	struct vm_config *vms; /* the caller's memory, for vm_capacity of them */
	u32 vm_capacity;
	u32 vm_count;      /* out */
	u32 problem_count; /* out: how often report() was called */
};

/* How many [vm ...] sections the text has: what config.vms needs room for. */
u32 config_count_vms(const char *text, size_t bytes);

/*
 * Read the whole text. @out->vms and vm_capacity are set by the caller. @report: called for each
 * problem, in the order of lines, with what is wrong and what is allowed; may be NULL. Returns 0 if
 * all is well; E_INVAL if something was reported (*out is valid all the same: what could be
 * understood is there); E_NOMEM if there are more VMs than room.
 */
must_check err_t config_parse(const char *text, size_t bytes, struct config *out,
	void (*report)(void *context, u32 line, const char *message), void *context);

/*
 * What only a host of @host_bytes can say: a VM whose reservation is more than that is not
 * startable. Where those of the VMs that start by themselves add up to more, the first that cannot
 * have its own is reported, with what is left; which of them run is for admission to decide. To be
 * called after config_parse(), with the same report().
 */
void config_check_reservations(struct config *out, u64 host_bytes,
	void (*report)(void *context, u32 line, const char *message), void *context);

#endif
