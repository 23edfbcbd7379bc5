/* From boot files to a guest that can be entered. */
#include "hv/vm_boot.h"
#include "hv/boot_files.h"
#include "hv/guest_mem.h"
#include "hv/hv_ops.h"
#include "hv/linux_boot.h"
#include "hv/x86/paging.h"
#include "mm/base/fmt.h"
#include "mm/base/str.h"

static err_t find(const char *what, const char *name, const void **data, size_t *bytes, char *why,
	size_t why_bytes)
{
	const struct boot_file *file = boot_files_find(name);
	const char *reason = "the loader does not have it";

	*data = file ? boot_files_data(file, &reason) : NULL;
	if (!*data) {
		fmt_snprintf(why, why_bytes, "%s %s: %s", what, name, reason);
		return E_NOTFOUND;
	}
	*bytes = file->bytes;
	return 0;
}

static err_t write_guest(void *context, gpa_t to, const void *data, size_t bytes)
{
	return guest_mem_write(context, to, data, bytes);
}

static void set_registers(struct vm *vm, const struct linux_boot_plan *plan)
{
	struct vcpu *vcpu = &vm->vcpus[0];
	struct virt_sregs sregs;

	memset(&sregs, 0, sizeof(sregs));
	vcpu_attach(vcpu);
	linux_boot_registers(plan, &sregs, vcpu->virt.gpr, &vcpu->virt.rip, &vcpu->virt.rflags);
	vcpu->virt.state_dirty = true;
	hv_ops->set_sregs(&vcpu->virt, &sregs);
	vcpu->state = VCPU_RUNNABLE;
}

static err_t load(struct vm *vm, struct linux_boot_input *input, char *why, size_t why_bytes)
{
	struct linux_boot_plan plan;
	err_t err = linux_boot_plan(input, &plan, why, why_bytes);

	if (err)
		return err;
	err = linux_boot_load(input, &plan, write_guest, vm->space);
	if (err) {
		fmt_snprintf(why, why_bytes, "its kernel could not be copied: %s", err_name(err));
		return err;
	}
	set_registers(vm, &plan);
	return 0;
}

err_t vm_boot(struct vm *vm, char *why, size_t why_bytes)
{
	const struct vm_config *config = vm->config;
	struct linux_boot_input input = {
		.cmdline = config->cmdline,
		.acpi_gpa = VDEV_ACPI_GPA,
		.memory_bytes = config->memory_bytes,
	};
	void *acpi;
	s64 acpi_bytes;
	err_t err = find("kernel", config->kernel, &input.kernel, &input.kernel_bytes, why, why_bytes);

	if (!err && config->initrd[0])
		err = find("initrd", config->initrd, &input.initrd, &input.initrd_bytes, why, why_bytes);
	if (err)
		return err;
	acpi = kmem_alloc(VDEV_ACPI_BYTES);
	if (!acpi) {
		fmt_snprintf(why, why_bytes, "no memory to make its ACPI tables");
		return E_NOMEM;
	}
	acpi_bytes = vdev_acpi_build(vm->vdev, VDEV_ACPI_GPA, acpi, VDEV_ACPI_BYTES);
	if (acpi_bytes < 0) {
		fmt_snprintf(why, why_bytes, "its ACPI tables do not fit");
		err = (err_t)acpi_bytes;
	} else {
		input.acpi = acpi;
		input.acpi_bytes = (size_t)acpi_bytes;
		err = load(vm, &input, why, why_bytes);
	}
	kmem_free(acpi, VDEV_ACPI_BYTES);
	return err;
}
