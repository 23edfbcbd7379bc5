/* What the parts of the model share: its state, dice, and steps. */
#ifndef TESTS_MODEL_VMS_PRIVATE_H
#define TESTS_MODEL_VMS_PRIVATE_H

#include "tests/model/vms.h"
#include "tests/fake/fake_guest.h"
#include "tests/fake/fake_platform.h"
#include "mm/share/share.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct world world;
extern const struct world_options *options;

/* Tell where, and abort. */
void wrong(const char *what);
u64 below(u64 end);
bool chance(u32 pct);

/* Mostly the one that this CPU runs already, so that its cache is of use; maybe NULL. */
struct vm *any_vm(void);
/* Any page of RAM: mostly one of a few, often near the edges of what there is. */
u64 any_page(const struct space *space);
/* The model's bytes; NULL: zeros, unless @make. */
u8 *model_page(struct vm *vm, u64 index, bool make);
/* Its guest reads, writes or executes somewhere. */
void step_access(struct vm *vm);
/* There was no frame: true only if there is none, and then somebody must go. */
void out_of_frames(struct vm *vm);

/* --- vms_life.c --- */
void vm_create(struct vm *vm);
void vm_clear(struct vm *vm);
void vm_destroy(struct vm *vm);
void model_forget(struct vm *vm);

/* --- vms_pins.c --- */
void step_pin(struct vm *vm);
void pin_check(const struct pin *pin);
void pin_drop(struct pin *pin);
/* The pages of a VM, or one page of it, were taken away. */
void pins_orphan(u32 vm);
void pins_orphan_page(u32 vm, gfn_t gfn);

/* --- vms_out.c: what is not in memory --- */
void out_start(void);
void out_stop(void);
void step_evict(struct vm *vm);
/* Let commands to the disk complete. */
void step_disk(u32 most);
/* A device looks at a page that may be absent. */
void step_peek(struct vm *vm);
/* The batch under way goes on, to its end. */
void out_finish(void);
/* A vCPU had to wait for a page. */
void out_waited(void);
/* A page could not be read back: true only where the disk failed, and then the VM must go. */
void out_lost(struct vm *vm);
/* A page's bytes wherever they are now; NULL: zeros. *@lost: they are nowhere. */
const u8 *out_look(struct space *space, gfn_t gfn, bool *lost);

/* Add the references that commands hold, and batches, to those of each frame by number. */
void out_references(u32 *references);

/* --- vms_balloon.c --- */
void step_balloon(struct vm *vm);
/* The guest has used the page: if it was in the balloon, it is its own again. */
void page_used(struct vm *vm, u64 index);

/* --- vms_check.c --- */
void check(void);
/* Add to the trace what this step has done. */
void trace_step(void);
void compare_all(void);

#endif
