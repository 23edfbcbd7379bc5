/*
 * From boot files to a guest that can be entered. What the kernel file holds decides how it is
 * started: an ELF file by PVH or Multiboot (elf_boot), anything else as a bzImage (linux_boot).
 *
 * Files are large, other VMs are running, and the host may have to make room first: what elf_boot
 * and linux_boot hand out is noted, and copied bit by bit. What is small may lie on a stack, and is
 * kept.
 */
#include "hv/vm/vm_boot.h"
#include "hv/config/boot_files.h"
#include "hv/kernel/elf_boot.h"
#include "hv/memory/guest_mem.h"
#include "hv/hv_ops.h"
#include "hv/kernel/linux_boot.h"
#include "hv/x86/paging.h"
#include "hv/x86/time.h"
#include "mm/base/fmt.h"
#include "mm/base/ini.h"
#include "mm/base/str.h"

#define PIECES_MAX  (ELF_SEGMENTS_MAX + ELF_BOOT_MODULES_MAX * 2 + 16)
#define SMALL_BYTES PAGE_BYTES /* all that lies on a stack is */
#define KEPT_BYTES  (16 * PAGE_BYTES)

struct piece {
	gpa_t to;
	const u8 *data;
	size_t bytes;
};

/* One boot under way; too large for a hypervisor's stack. */
struct vm_boot {
	struct vm *vm;
	char *why;
	size_t why_bytes;
	const void *kernel;
	size_t kernel_bytes;
	struct elf_boot_module modules[ELF_BOOT_MODULES_MAX]; /* the initrd first */
	u32 module_count;
	size_t acpi_bytes;
	struct elf_boot_plan plan;
	struct piece pieces[PIECES_MAX]; /* still to be copied, from piece_next on */
	u32 piece_count, piece_next;
	struct virt_sregs sregs; /* to start with, when all is copied; the vCPU has general ones */
	char cmdline[CONFIG_CMDLINE_BYTES + VM_EXTRA_BYTES];
	char module_names[CONFIG_MODULES_BYTES];
	u8 acpi[VDEV_ACPI_BYTES];
	size_t kept_bytes;
	u8 kept[KEPT_BYTES]; /* small pieces' bytes */
};

static err_t find(
	struct vm_boot *b, const char *what, const char *name, const void **data, size_t *bytes)
{
	const struct boot_file *file = boot_files_find(name);
	const char *reason = "the loader does not have it";

	*data = file ? boot_files_data(file, &reason) : NULL;
	if (!*data) {
		fmt_snprintf(b->why, b->why_bytes, "%s %s: %s", what, name, reason);
		return E_NOTFOUND;
	}
	*bytes = file->bytes;
	return 0;
}

static err_t add_module(struct vm_boot *b, const char *what, const char *name, const char *words)
{
	struct elf_boot_module *m = &b->modules[b->module_count];

	if (b->module_count == ELF_BOOT_MODULES_MAX) {
		fmt_snprintf(b->why, b->why_bytes, "more than %u modules", ELF_BOOT_MODULES_MAX);
		return E_RANGE;
	}
	b->module_count++;
	m->words = words;
	return find(b, what, name, &m->data, &m->bytes);
}

/* A piece of module_names as a string. What follows it is a separator, or the list's end. */
static char *cut_out(struct vm_boot *b, struct ini_str piece)
{
	char *text = b->module_names + (piece.at - b->module_names);

	text[piece.bytes] = '\0';
	return text;
}

static err_t find_modules(struct vm_boot *b)
{
	const struct vm_config *config = b->vm->config;
	struct ini_str list = {b->module_names, strlen(config->modules)};
	struct ini_str module, name, words;
	err_t err = 0;

	memcpy(b->module_names, config->modules, list.bytes + 1);
	if (config->initrd[0])
		err = add_module(b, "initrd", config->initrd, "");
	while (!err && (module = ini_list_next(&list)).bytes > 0) {
		name = ini_first_word(module, &words);
		err = add_module(b, "module", cut_out(b, name), cut_out(b, words));
	}
	return err;
}

/* A copy that stays; NULL: no room. */
static const u8 *keep(struct vm_boot *b, const void *data, size_t bytes)
{
	u8 *at = b->kept + b->kept_bytes;

	if (bytes > KEPT_BYTES - b->kept_bytes)
		return NULL;
	b->kept_bytes += bytes;
	return memcpy(at, data, bytes);
}

static err_t write_guest(void *context, gpa_t to, const void *data, size_t bytes)
{
	struct vm_boot *b = context;
	struct piece *last = b->piece_count ? &b->pieces[b->piece_count - 1] : NULL;
	const u8 *from = bytes <= SMALL_BYTES ? keep(b, data, bytes) : data;

	if (!from)
		return E_LIMIT;
	/* Tables come in many small chunks. */
	if (last && last->to.v + last->bytes == to.v && last->data + last->bytes == from) {
		last->bytes += bytes;
		return 0;
	}
	if (b->piece_count == PIECES_MAX)
		return E_LIMIT;
	b->pieces[b->piece_count++] = (struct piece){to, from, bytes};
	return 0;
}

static err_t copied(struct vm_boot *b, err_t err)
{
	if (err)
		fmt_snprintf(
			b->why, b->why_bytes, "its kernel could not be copied: %s", err_name(err));
	return err;
}

static err_t load_linux(struct vm_boot *b, struct virt_sregs *sregs)
{
	struct virt_vcpu *virt = &b->vm->vcpus[0].virt;
	struct linux_boot_plan plan;
	struct linux_boot_input input = {
		.kernel = b->kernel,
		.kernel_bytes = b->kernel_bytes,
		.initrd = b->modules[0].data,
		.initrd_bytes = b->modules[0].bytes,
		.cmdline = b->cmdline,
		.acpi = b->acpi,
		.acpi_bytes = b->acpi_bytes,
		.acpi_gpa = VDEV_ACPI_GPA,
		.memory_bytes = b->vm->config->memory_bytes,
	};
	err_t err = linux_boot_plan(&input, &plan, b->why, b->why_bytes);

	if (err)
		return err;
	if (b->vm->config->modules[0]) {
		fmt_snprintf(b->why, b->why_bytes,
			"modules are for PVH and Multiboot kernels; a bzImage takes an initrd");
		return E_INVAL;
	}
	err = linux_boot_load(&input, &plan, write_guest, b);
	linux_boot_registers(&plan, sregs, virt->gpr, &virt->rip, &virt->rflags);
	return copied(b, err);
}

static err_t load_elf(struct vm_boot *b, struct virt_sregs *sregs)
{
	struct virt_vcpu *virt = &b->vm->vcpus[0].virt;
	struct elf_boot_input input = {
		.kernel = b->kernel,
		.kernel_bytes = b->kernel_bytes,
		.modules = b->modules,
		.module_count = b->module_count,
		.cmdline = b->cmdline,
		.acpi = b->acpi,
		.acpi_bytes = b->acpi_bytes,
		.acpi_gpa = VDEV_ACPI_GPA,
		.memory_bytes = b->vm->config->memory_bytes,
	};
	err_t err = elf_boot_plan(&input, &b->plan, b->why, b->why_bytes);

	if (err)
		return err;
	err = elf_boot_load(&input, &b->plan, write_guest, b);
	elf_boot_registers(&b->plan, sregs, virt->gpr, &virt->rip, &virt->rflags);
	return copied(b, err);
}

/*
 * A guest that resets its machine by a jump to the reset vector in real mode, which is what Linux
 * tries where ACPI hardware is reduced and there is no EFI, finds this instead of a BIOS: the
 * keyboard controller's reset line is pulsed. It lies in memory that the guest is told is reserved.
 */
#define RESET_VECTOR_GPA 0xffff0ull
static const u8 reset_vector[] = {
	0xb0, 0xfe, /* mov al, 0xfe */
	0xe6, 0x64, /* out 0x64, al */
	0xf4,       /* hlt */
	0xeb, 0xfd, /* jmp to the hlt */
};

static err_t load(struct vm_boot *b)
{
	err_t err = elf_kernel_is_elf(b->kernel, b->kernel_bytes) ? load_elf(b, &b->sregs)
								  : load_linux(b, &b->sregs);

	return err ? err
		   : copied(b, write_guest(b, GPA(RESET_VECTOR_GPA), reset_vector,
				       sizeof(reset_vector)));
}

/* Copy until @until. E_WAIT: there is more, or no frame for it yet. */
static err_t copy_some(struct vm_boot *b, u64 until)
{
	while (b->piece_next < b->piece_count) {
		struct piece *p = &b->pieces[b->piece_next];
		size_t bytes = min(p->bytes, (size_t)PAGE_BYTES);
		err_t err;

		if (time_tsc() >= until)
			return E_WAIT;
		err = guest_mem_write(b->vm->space, p->to, p->data, bytes);
		if (err)
			return err;
		p->to.v += bytes;
		p->data += bytes;
		p->bytes -= bytes;
		b->piece_next += p->bytes == 0;
	}
	return 0;
}

static void start_vcpu(struct vcpu *vcpu, const struct virt_sregs *sregs)
{
	vcpu_attach(vcpu);
	vcpu->virt.state_dirty = true;
	hv_ops->set_sregs(&vcpu->virt, sregs);
	vcpu_release(vcpu); /* any CPU may be the one that it starts on */
	vcpu->state = VCPU_RUNNABLE;
}

static err_t build_acpi(struct vm_boot *b)
{
	s64 bytes = vdev_acpi_build(b->vm->vdev, VDEV_ACPI_GPA, b->acpi, sizeof(b->acpi));

	if (bytes < 0) {
		fmt_snprintf(b->why, b->why_bytes, "its ACPI tables do not fit");
		return (err_t)bytes;
	}
	b->acpi_bytes = (size_t)bytes;
	return 0;
}

static err_t boot(struct vm_boot *b)
{
	const struct vm *vm = b->vm;
	err_t err = find(b, "kernel", vm->config->kernel, &b->kernel, &b->kernel_bytes);

	fmt_snprintf(b->cmdline, sizeof(b->cmdline), "%s%s%s", vm->config->cmdline,
		vm->extra[0] ? " " : "", vm->extra);
	if (!err)
		err = find_modules(b);
	if (!err)
		err = build_acpi(b);
	return err ? err : load(b);
}

err_t vm_boot_begin(struct vm *vm, char *why, size_t why_bytes)
{
	struct vm_boot *b = kmem_alloc(sizeof(*b));
	err_t err;

	if (!b) {
		fmt_snprintf(why, why_bytes, "no memory to load its kernel");
		return E_NOMEM;
	}
	memset(b, 0, sizeof(*b));
	b->vm = vm;
	b->why = why;
	b->why_bytes = why_bytes;
	vm->boot = b;
	err = boot(b);
	if (err)
		vm_boot_drop(vm);
	return err;
}

err_t vm_boot_some(struct vm *vm, u64 until, char *why, size_t why_bytes)
{
	struct vm_boot *b = vm->boot;
	err_t err = copy_some(b, until);

	if (err == E_WAIT)
		return err;
	b->why = why;
	b->why_bytes = why_bytes;
	err = copied(b, err);
	if (!err)
		start_vcpu(&vm->vcpus[0], &b->sregs);
	vm_boot_drop(vm);
	return err;
}

void vm_boot_drop(struct vm *vm)
{
	if (vm->boot)
		kmem_free(vm->boot, sizeof(*vm->boot));
	vm->boot = NULL;
}
