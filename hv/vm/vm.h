/*
 * A virtual machine and its life: off, starting, running, or stopped with a reason. It owns its
 * memory (a space), its devices (a vdev), its vCPUs and what its serial line said. Everything but
 * its configuration and its output ring is released when it ends, so that a VM that is not running
 * costs no guest memory.
 *
 * Life-cycle functions are called by the boot CPU's loop only (vm_lives.c, and commands). Before
 * they take anything away they stop the VM's vCPUs, wherever these are. What a device or an exit
 * wants of the VM's life it leaves as a request (vm_request_end(), vm_break()), which the loop
 * carries out.
 *
 * Legend: [I] fixed after creation, [l] life cycle: changed between guest entries only, [v] lock
 * held, [lv] changed between guest entries and with the lock held, [a] atomic.
 */
#ifndef HV_VM_VM_H
#define HV_VM_VM_H

#include "mm/base/types.h"
#include "mm/base/err.h"
#include "mm/base/list.h"
#include "mm/base/lock.h"
#include "mm/memsched/memsched.h"
#include "mm/space/space.h"
#include "hv/memory/balloon.h"
#include "hv/config/config.h"
#include "hv/memory/memsched_host.h"
#include "hv/console/output.h"
#include "hv/vm/vcpu.h"
#include "hv/vdev/vdev.h"
#include "hv/vm/vm_figures.h"
#include "hv/console/watch.h"

enum vm_state {
	VM_OFF,      /* never started, or powered off by itself or the console */
	VM_STARTING, /* everything is allocated; the kernel is being copied */
	VM_RUNNING,
	VM_STOPPED, /* ended by the hypervisor: .why tells the reason */
};

/* What is to become of a running VM at the next turn of the scheduler's loop. */
enum vm_request { VM_REQUEST_NONE, VM_REQUEST_POWER_OFF, VM_REQUEST_RESET, VM_REQUEST_STOP };

/* How a VM's run is judged: see verdict.h. */
enum vm_verdict { VM_VERDICT_NONE, VM_VERDICT_OK, VM_VERDICT_FAILED, VM_VERDICT_STOPPED };

#define VM_WHY_BYTES   200
#define VM_EXTRA_BYTES 200

struct guest_disk;
struct disk_partition;

struct vm {
	struct list all;                /* in sched.c's list, in the order of the configuration */
	const struct vm_config *config; /* [I]; its values change by settings.c alone */
	struct spinlock lock;           /* rank VM: devices */

	enum vm_state state;    /* [l] */
	u32 request;            /* [a] enum vm_request */
	u32 is_broken;          /* [a] somebody states in .why why it cannot go on */
	char why[VM_WHY_BYTES]; /* [l] why it ended, or was not started */
	bool ended; /* [l] it was started once and is no longer running, or could not start */
	u32 starts, resets;      /* [l] */
	enum vm_verdict verdict; /* [l] of the last run */

	char extra[VM_EXTRA_BYTES]; /* [l] more words for the command line of this start */

	struct space *space; /* [l] of one that is not on: being freed; or NULL */
	struct vdev *vdev;   /* [l] NULL unless it is on; contents [v] */
	struct vcpu *vcpus;  /* [l] likewise; who wakes them holds vcpus_lock */
	struct spinlock vcpus_lock;
	u32 vcpu_count;                   /* [I] */
	bool start_wanted;                /* [l] it waits: vm_wait.h */
	char waits_for[VM_WHY_BYTES];     /* [l] then: for what, as "starts when ..." */
	u64 wait_asked_ns;                /* [l] and when that was found */
	bool frames_come;                 /* [l] vm_wait.c's: ended VMs' swap files hold some */
	struct vm_boot *boot;             /* [l] vm_boot.c's; NULL unless starting, or while its
					     memory is still being cleared for a reset */
	bool is_reset;                    /* [l] it is starting again */
	struct swap_file *swap;           /* [l] the space's; NULL unless it is on, and has one */
	struct memsched_request admitted; /* what memsched was told: vm_promise.h */
	u64 tsc_origin;                   /* [l] host TSC at which the guest's was 0 */
	u64 origin_ns;                    /* [l] host time at that moment */
	u32 abi_version; /* hypercalls: what the guest negotiated; 0 = nothing yet */
	u64 hide_every;  /* debug: hide all private pages every so many exits; 0 = never */
	u64 hide_countdown;
	u64 reclaim_every; /* debug: likewise, reclaim all that is not protected */
	u64 reclaim_countdown;
	struct vm_figures last; /* [l] of the run that ended */
	struct {
		u64 began_ns;         /* power-on, reset, or a change of salt */
		u64 rest_until_ns;    /* no pass before */
		u64 earned_ns;        /* when pages were last earned */
		u64 credit_pages;     /* that may be hashed now */
		u32 passes_wanted;    /* by command */
		bool no_memory;       /* unsharing found no frame, and goes on */
		u64 unshare_again_ns; /* then */
	} share;                      /* [l] see share.c */
	struct {
		u64 rest_until_ns; /* no walk before */
		u64 told;          /* of the space's joins */
	} join;                    /* [l] see large_pages.c */
	struct vm_balloon balloon; /* see balloon.h */
	struct vm_memory memory;   /* [l] see memsched_host.h */
	struct guest_disk *disk;   /* [lv] NULL: none. May outlive a run: vm_disk.h; contents [v] */
	u32 disk_wants;            /* [a] GUEST_DISK_*, of its disk, where it has one */
	const struct disk_partition *partition; /* [l] its disk's */
	struct output output;                   /* [v] what the guest printed */
	struct vm_watch watch;                  /* [l] see watch.h */
};

static inline const char *vm_name(const struct vm *vm)
{
	return vm->config->name;
}

/* Does it have memory, devices, vCPUs? */
static inline bool vm_is_on(const struct vm *vm)
{
	return vm->state == VM_STARTING || vm->state == VM_RUNNING;
}

/* Is it promised all of its memory? A VM that is on, or about to be. */
static inline bool vm_is_promised_all(const struct vm *vm)
{
	return !vm->config->reservation_given && !vm->swap;
}

/* Of its memory, what it may have by now: its limit, and what it was granted since it began. */
static inline u64 vm_allowed_pages(const struct vm *vm)
{
	return min(vm->config->limit_bytes >> PAGE_SHIFT, vm->memory.granted_pages);
}

/* Make a VM that is off. Owns: the caller, for ever. NULL: no memory. */
struct vm *vm_create(const struct vm_config *config);

/*
 * Power on: admission, memory, devices. Returns 0 with the VM VM_STARTING, and vm_continue_start()
 * does the rest; E_WAIT with the VM as it was, but .start_wanted (vm_wait.h): call it again; any
 * other error leaves the VM off (VM_OFF) with the reason in vm->why and nothing allocated.
 */
must_check err_t vm_start(struct vm *vm);

/* Is the memory of its last run still being freed? vm_release_some() goes on, until @until. */
static inline bool vm_is_releasing(const struct vm *vm)
{
	return !vm_is_on(vm) && vm->space;
}
void vm_release_some(struct vm *vm, u64 until);

/*
 * A VM that is VM_STARTING: clear more of its memory, or copy more of its kernel, until about
 * @until (host TSC). At the end it runs; or an error is logged, and it is off or stopped.
 */
void vm_continue_start(struct vm *vm, u64 until);

/*
 * End a VM that is starting or running, and release everything; its memory by and by. @state:
 * VM_OFF for an orderly end (by itself, by command), VM_STOPPED where it could not go on. @why: a
 * few words, kept.
 */
void vm_end(struct vm *vm, enum vm_state state, const char *why);

/* Power-on state again on the same memory grant: it is VM_STARTING again. If the kernel cannot be
 * loaded again, the VM is stopped. */
void vm_reset(struct vm *vm);

/* From anywhere: the guest wants to end, or to be reset, at the next turn of the loop. */
void vm_request_end(struct vm *vm, enum vm_request how);

/* From an exit: this VM cannot go on. Keeps the first reason. Its vCPUs run no more. */
void vm_break(struct vm *vm, const char *fmt, ...) printf_like(2, 3);

/* Is a request pending? One load: asked after every exit. */
static inline bool vm_is_ending(const struct vm *vm)
{
	return __atomic_load_n(&vm->request, __ATOMIC_RELAXED) != VM_REQUEST_NONE;
}

/* Does the memory scheduler have its vCPUs stand still? */
static inline bool vm_is_blocked(const struct vm *vm)
{
	return __atomic_load_n(&vm->memory.blocked, __ATOMIC_RELAXED);
}

/* Debug: after one more exit of a VM whose hide_every is set. */
void vm_debug_hide(struct vm *vm);

/* Debug: after one more exit of a VM whose reclaim_every is set. */
void vm_debug_reclaim(struct vm *vm);

/* "waiting": off, but .start_wanted. */
const char *vm_state_name(const struct vm *vm);

#endif
