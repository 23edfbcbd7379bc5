# Bellows: build, run and test. "make help" lists the targets.
#
# User's targets build under a lock, so that two makes at once do not tread on each other; the files
# they name are made by the rules below them. What may be said with them, beside the target:
#
# TARGET=qemu|bochs|kvm: the machine of run (else the best one there is), fuzz-guest, soak (else qemu)
# T=PATTERN[,PATTERN]: the tests of test, test-all, fuzz: a shell pattern, or part of a name
# B=PATTERN: the benches of bench
# SECONDS=N: how long fuzz (60 each) and fuzz-guest (600) go on
# MIN=N: minutes that soak goes on (30)
# SEED=N: of sim, fuzz-guest, soak: the same once more
# BUILD=DIR: build there, not in build/
# JOBS=N: so many compilers, and tests, at once; else one for each CPU
# RUN_ARGS=WORDS: more for tests/emu/run.py; so TEST_ARGS, FUZZ_ARGS (fuzz-guest), SOAK_ARGS, BENCH_ARGS

BUILD ?= build
JOBS  ?= $(shell nproc)
PY    := python3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SECONDARY:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# --- What a user types -------------------------------------------------------------------------

build_locked = @mkdir -p $(BUILD) && flock $(BUILD)/.lock \
	$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo "Variables:"
	@sed -n 's/^# \([A-Z][A-Z_, ]*=[^:]*\): \(.*\)$$/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

.PHONY: setup
setup: ## install the Debian packages that are missing (says so first)
	@tests/setup.sh

.PHONY: run
run: setup ## the demonstration: eight Linux guests on too little memory; TARGET=bochs for VT-x in Bochs
	$(build_locked) $(BUILD)/.all
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/emu/run.py --target $(or $(TARGET),auto) $(RUN_ARGS)

.PHONY: test
test: setup ## all tests, or those that match T=PATTERN (unit/... model/... sim/... fuzz/... qemu/... bochs/... kvm/...)
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/run.py $(if $(T),--match '$(T)') $(TEST_ARGS)

.PHONY: test-all
test-all: setup ## as test, with the long cases too
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/run.py --all $(if $(T),--match '$(T)') $(TEST_ARGS)

.PHONY: fuzz
fuzz: setup ## fuzz for SECONDS=60 each (those that match T=PATTERN), growing the kept corpus
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/run.py --fuzz-seconds $(or $(SECONDS),60) --keep-corpus \
		--match '$(or $(T),fuzz/*)'

.PHONY: fuzz-guest
fuzz-guest: setup ## a hostile guest for SECONDS=600 beside neighbours that verify (TARGET=qemu|bochs|kvm, SEED=N)
	$(build_locked) $(BUILD)/.all
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/emu/fuzz_guest.py --target $(or $(TARGET),qemu) \
		--seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED)) $(FUZZ_ARGS)

.PHONY: soak
soak: setup ## random operations on guests that verify their memory, for MIN=30 minutes (TARGET=qemu|bochs|kvm, SEED=N)
	$(build_locked) $(BUILD)/.all
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/emu/soak.py --target $(or $(TARGET),qemu) \
		--minutes $(or $(MIN),30) $(if $(SEED),--seed $(SEED)) $(SOAK_ARGS)

.PHONY: sim
sim: setup ## simulate the memory scheduler: 10000 random hosts, one of thousands of VMs for hours, one drawn (SEED=N)
	$(build_locked) $(BUILD)/tests/sim/worlds
	@mkdir -p $(BUILD)/sim
	@$(BUILD)/tests/sim/worlds --seed $(or $(SEED),1) --worlds 10000
	@$(BUILD)/tests/sim/worlds --seed $(or $(SEED),8) --worlds 1 --vms 4000 --phases 4 --phase-seconds 1800
	@$(BUILD)/tests/sim/worlds --seed $(or $(SEED),9) --worlds 1 --trace $(BUILD)/sim/world.csv
	@$(PY) tests/sim/draw.py $(BUILD)/sim/world.csv $(BUILD)/sim/world.svg

.PHONY: bench
bench: setup ## measure: all benches, or those that match B=PATTERN; results, table and plots in build/bench/
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/bench/run.py $(if $(B),--match '$(B)') $(BENCH_ARGS)

.PHONY: all
all: ## build everything that runs: hypervisor, loader, guests
	$(build_locked) $(BUILD)/.all

.PHONY: hv
hv: ## build the hypervisor, build/bellows.elf
	$(build_locked) $(BUILD)/bellows.elf

.PHONY: loader
loader: ## build the UEFI loader, build/BOOTX64.EFI
	$(build_locked) $(BUILD)/BOOTX64.EFI

.PHONY: guests
guests: ## fetch the guests' kernel, build their initramfs
	$(build_locked) $(BUILD)/.guests

.PHONY: guest-tools
guest-tools: ## build the packages: bellows-guest-tools for Debian guests, bellows-tools for who watches the host
	$(build_locked) $(BUILD)/.guest-tools $(BUILD)/.tools-package

.PHONY: esp
esp: setup ## make build/esp.img, a bootable image with the example configuration
	$(build_locked) $(BUILD)/.all
	@BELLOWS_BUILD=$(BUILD) $(PY) tests/emu/run.py --config boot/bellows.conf --image-only $(BUILD)/esp.img

.PHONY: image
image: setup ## make build/bellows.img, a disk image for a USB stick, with the example configuration
	$(build_locked) $(BUILD)/.image

.PHONY: check-style
check-style: ## who includes whom, and clang-format on all C files
	@$(PY) tests/check/includes.py .
	@$(PY) tests/check/style.py

.PHONY: clean
clean: ## remove build/ (what is fetched or built once stays in the cache)
	rm -rf $(BUILD)

# --- How things are made -------------------------------------------------------------------------
#
# $(call made_with,NAMES) names, as prerequisites, files that hold these variables and which compilers there are;
# each is made anew only when what it holds has changed. What a target adds to such a variable must be private,
# or the file, when it is made for that target, would hold it too.

VERSION   := $(shell git describe --always --tags 2>/dev/null || echo unknown)
COMPILERS := $(shell gcc --version | head -1; readlink -f "$$(command -v clang)")

differ    = $(subst x$(1),,x$(2))$(subst x$(2),,x$(1))
made_with = $(addprefix $(BUILD)/.,COMPILERS $(1))

# Not by $(file >...), which would write under -n and -q too.
$(BUILD)/.%: $$(if $$(call differ,$$(strip $$(file <$$@)),$$(strip $$($$*))),FORCE)
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$($*))' >$@

.PHONY: FORCE

# --- The hypervisor ----------------------------------------------------------------------------

HV_FLAGS := -std=gnu11 -O2 -g -ffreestanding -mgeneral-regs-only -mno-red-zone -fno-stack-protector \
	-mcmodel=kernel -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-pic -fno-pie \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fcf-protection=none -Wall -Wextra -Werror -I.
# Optimised as a whole when it is linked, but for what the compiler and libraries call by name.
HV_LTO := -flto=auto
HV_LINK := -nostdlib -static -Wl,-z,max-page-size=4096,-z,noexecstack,--no-warn-rwx-segments,--build-id=none
HV_NAMED := $(BUILD)/hv/mm/base/str.c.o $(BUILD)/hv/hv/x86/library.c.o
$(HV_NAMED): private HV_LTO := -fno-lto
HV_SOURCES := $(sort $(shell find mm drivers hv -name '*.[cS]'))
HV_OBJECTS := $(patsubst %,$(BUILD)/hv/%.o,$(HV_SOURCES))
LINKER_SCRIPT := hv/x86/linker.ld
# Of libraries only what is referred to gets in: see hv/x86/library.h.
HV_LIBRARIES := $(shell gcc -print-file-name=liblz4.a)

# Tests run one that checks the ranks of locks; nothing else differs.
HV_LOCK := $(BUILD)/hv/mm/base/lock.c.o
HV_DEBUG_OBJECTS := $(HV_OBJECTS:$(HV_LOCK)=$(BUILD)/hv-debug/mm/base/lock.c.o)

$(BUILD)/bellows.elf: $(HV_OBJECTS) $(HV_LIBRARIES) $(LINKER_SCRIPT)
$(BUILD)/bellows-debug.elf: $(HV_DEBUG_OBJECTS) $(HV_LIBRARIES) $(LINKER_SCRIPT)
$(BUILD)/bellows.elf $(BUILD)/bellows-debug.elf: $(call made_with,HV_SOURCES HV_LINK)
	@echo "  LD      $@"
	@gcc $(HV_FLAGS) $(HV_LTO) $(HV_LINK) -T $(LINKER_SCRIPT) -o $@ $(filter %.o %.a,$^)

# The console's font, as drivers/font.S takes it in.
FONT := /usr/share/consolefonts/Unifont-APL8x16.psf.gz
$(BUILD)/font.psf: $(FONT)
	@mkdir -p $(@D)
	@gunzip -c $< >$@
$(BUILD)/hv/drivers/font.S.o: $(BUILD)/font.psf
$(BUILD)/hv/drivers/font.S.o: private HV_FLAGS += -DFONT_FILE='"$(BUILD)/font.psf"'

$(BUILD)/hv/%.c.o: %.c $(call made_with,HV_FLAGS HV_LTO)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	@gcc $(HV_FLAGS) $(HV_LTO) -MMD -MP -c -o $@ $<

$(BUILD)/hv-debug/%.c.o: %.c $(call made_with,HV_FLAGS HV_LTO)
	@echo "  CC      $< (debug)"
	@mkdir -p $(@D)
	@gcc $(HV_FLAGS) $(HV_LTO) -DBELLOWS_DEBUG -MMD -MP -c -o $@ $<

$(BUILD)/hv/%.S.o: %.S $(call made_with,HV_FLAGS)
	@echo "  AS      $<"
	@mkdir -p $(@D)
	@gcc $(HV_FLAGS) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

# --- The image for a USB stick ------------------------------------------------------------------

$(BUILD)/.image: boot/image.py boot/bellows.conf $(BUILD)/BOOTX64.EFI $(BUILD)/bellows.elf $(BUILD)/.guests
	@boot/image.py $(BUILD)/bellows.img EFI/BOOT/BOOTX64.EFI=$(BUILD)/BOOTX64.EFI \
		bellows/bellows.elf=$(BUILD)/bellows.elf bellows/bellows.conf=boot/bellows.conf \
		bellows/vmlinuz=$(BUILD)/guests/vmlinuz bellows/initrd.img=$(BUILD)/guests/initrd.img \
		bellows/bare.img=$(BUILD)/guests/bare.img
	@touch $@

# --- The loader --------------------------------------------------------------------------------

# What the loader shares with the hypervisor: the reader of bellows.conf and what that needs.
LOADER_SHARED := mm/base/ini.c mm/base/err.c mm/base/fmt.c mm/base/str.c
LOADER_SOURCES := $(sort $(shell find boot -name '*.[cS]')) $(LOADER_SHARED)
LOADER_OBJECTS := $(patsubst %,$(BUILD)/loader/%.o,$(LOADER_SOURCES))
EFI_FLAGS    := -fshort-wchar -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
LOADER_FLAGS := -std=gnu11 -O2 -g -ffreestanding -fpic -mno-red-zone -fno-stack-protector \
	-maccumulate-outgoing-args -fcf-protection=none -fno-strict-aliasing -Wall -Wextra -Werror -I. $(EFI_FLAGS)

# A UEFI program of $(1), objects; then what the firmware loads of the program $(1).
efi_link = ld -nostdlib -znocombreloc -shared -Bsymbolic -T /usr/lib/elf_x86_64_efi.lds --no-warn-rwx-segments \
	-z noexecstack --no-undefined -o $(2) /usr/lib/crt0-efi-x86_64.o $(1) -L /usr/lib -lefi -lgnuefi
efi_copy = objcopy $(addprefix -j ,.text .sdata .data .rodata .dynamic .dynsym .rel .rela .rel.* .rela.* .reloc) \
	--target efi-app-x86_64 --subsystem=10 $(1) $(2)

$(BUILD)/BOOTX64.EFI: $(BUILD)/loader/loader.so $(call made_with,efi_copy)
	@echo "  OBJCOPY $@"
	@$(call efi_copy,$<,$@)

$(BUILD)/loader/loader.so: $(LOADER_OBJECTS) $(call made_with,LOADER_SOURCES efi_link)
	@echo "  LD      $@"
	@$(call efi_link,$(filter %.o,$^),$@)

$(BUILD)/loader/%.c.o: %.c $(call made_with,LOADER_FLAGS)
	@echo "  CC      $< (loader)"
	@mkdir -p $(@D)
	@gcc $(LOADER_FLAGS) -MMD -MP -c -o $@ $<

# The version that the loader and the hypervisor say.
$(BUILD)/loader/boot/main.c.o: private LOADER_FLAGS += -DBELLOWS_VERSION='"$(VERSION)"'
$(BUILD)/loader/boot/main.c.o: $(call made_with,VERSION)

$(BUILD)/loader/%.S.o: %.S $(call made_with,LOADER_FLAGS)
	@echo "  AS      $< (loader)"
	@mkdir -p $(@D)
	@gcc $(LOADER_FLAGS) -D__ASSEMBLER__ -MMD -MP -c -o $@ $<

# --- The guests --------------------------------------------------------------------------------

GUEST_DIR   := tests/emu/guests
GUEST_FLAGS := -std=gnu11 -O2 -static -s -Wall -Wextra -Werror -I.

$(BUILD)/.guests: $(BUILD)/guests/.kernel $(addprefix $(BUILD)/guests/,initrd.img kexec.img hibernate.img disk.img) $$(BARE_IMAGES)
	@touch $@

FIRMWARE_PROGRAMS := $(patsubst tests/emu/firmware/%.c,$(BUILD)/%.efi,$(wildcard tests/emu/firmware/*.c))

$(BUILD)/.all: $(BUILD)/bellows.elf $(BUILD)/bellows-debug.elf $(BUILD)/BOOTX64.EFI $(BUILD)/.guests $(FIRMWARE_PROGRAMS)
	@touch $@

# The kernel lies in the cache, and is fetched again if it went from there; links lead to it.
$(BUILD)/guests/.kernel: $(GUEST_DIR)/kernel.sh $(GUEST_DIR)/unpack_kernel.py \
		$(if $(realpath $(BUILD)/guests/vmlinuz),,FORCE)
	@mkdir -p $(@D)
	@kernel=$$($(GUEST_DIR)/kernel.sh) && ln -sfn "$$kernel/vmlinux" $(@D)/vmlinux && \
		ln -sfn "$$kernel/vmlinuz" $(@D)/vmlinuz && touch $@ && echo "  KERNEL  $$(basename "$$kernel")"

$(BUILD)/guests/workload: $(addprefix $(GUEST_DIR)/,workload.c workload_linux.c workload.h) $(call made_with,GUEST_FLAGS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@gcc $(GUEST_FLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/guests/act: $(addprefix $(GUEST_DIR)/,act.c act_cpus.c act_flush.c act.h) $(call made_with,GUEST_FLAGS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@gcc $(GUEST_FLAGS) -o $@ $(filter %.c,$^)

# A kernel of our own, for what Linux takes too long to say: as a bzImage, by PVH and by Multiboot.
BARE_DIR     := $(GUEST_DIR)/bare
BARE_FLAGS   := -std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -mgeneral-regs-only -mno-red-zone -mcmodel=small \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables -Wall -Wextra -Werror -I.
# The compression cache's codec and the swap file's checksum too, to be measured, and what the compiler calls.
BARE_SOURCES := $(sort $(wildcard $(BARE_DIR)/*.[cS])) $(GUEST_DIR)/workload.c mm/zcache/zcache_codec.c mm/share/share_hash.c mm/base/str.c
BARE_NEEDS   := $(BARE_SOURCES) $(wildcard $(BARE_DIR)/*.h $(BARE_DIR)/*.ld) $(GUEST_DIR)/workload.h \
	$(wildcard mm/*.h mm/*/*.h) hv/abi/hypercall.h hv/abi/balloon.h hv/abi/pvclock.h tests/bench/measure.h \
	$(call made_with,bare_link)
BARE_IMAGES  := $(addprefix $(BUILD)/guests/,bare.img bare.pvh bare.multiboot)
bare_link     = gcc $(BARE_FLAGS) -nostdlib -static -Wl,-T,$(BARE_DIR)/$(1),--build-id=none,-z,noexecstack \
	-Wl,-z,max-page-size=4096,--no-warn-rwx-segments -o $(2) $(filter-out %/$(3),$(BARE_SOURCES)) $(HV_LIBRARIES)

$(BUILD)/guests/bare.img: $(BARE_NEEDS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@$(call bare_link,bare.ld,$(@:.img=.elf),entry_elf.S)
	@objcopy -O binary $(@:.img=.elf) $@

$(BUILD)/guests/bare.pvh: $(BARE_NEEDS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@$(call bare_link,bare_elf.ld,$@,entry_linux.S)

$(BUILD)/guests/bare.multiboot: $(BUILD)/guests/bare.pvh
	@objcopy -O elf32-i386 -R .note.Xen $< $@

INITRD_HOLDS := $(addprefix $(BUILD)/guests/,workload act bellows-guest bellows_balloon.ko) $(GUEST_DIR)/tools
$(BUILD)/guests/initrd.img: $(GUEST_DIR)/initrd.sh $(GUEST_DIR)/init $(INITRD_HOLDS)
	@echo "  INITRD  $@"
	@$(GUEST_DIR)/initrd.sh $@ $(GUEST_DIR)/init $(INITRD_HOLDS)

# For a guest that starts another kernel by kexec: that one and its initramfs are in it.
KEXEC_HOLDS := $(INITRD_HOLDS) $(addprefix $(BUILD)/guests/,vmlinuz initrd.img)
$(BUILD)/guests/kexec.img: $(BUILD)/guests/initrd.img
	@echo "  INITRD  $@"
	@$(GUEST_DIR)/initrd.sh $@ $(GUEST_DIR)/init $(KEXEC_HOLDS)

# The guest tools as the test guests carry them: the driver for their very kernel.
DRIVER_SOURCES := $(shell find guest-tools/linux/driver -type f) guest-tools/linux/lay_out.sh \
	hv/abi/hypercall.h hv/abi/balloon.h
# Not with our own make's flags, which are in the environment.
kernel_make := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make

$(BUILD)/guests/bellows_balloon.ko: $(DRIVER_SOURCES) $(GUEST_DIR)/headers.sh $(BUILD)/guests/.kernel
	@echo "  KMOD    $@"
	@guest-tools/linux/lay_out.sh $(@D)/driver test
	@headers=$$($(GUEST_DIR)/headers.sh "$$(dirname "$$(realpath $(@D)/vmlinuz)")") && \
		$(kernel_make) -s -C "$$headers" M=$(abspath $(@D))/driver modules >$(@D)/driver.log 2>&1 || \
		{ cat $(@D)/driver.log; false; }
	@strip --strip-debug -o $@ $(@D)/driver/bellows_balloon.ko

TOOL_FLAGS := -std=gnu11 -O2 -Wall -Wextra -Werror -I.
$(BUILD)/guests/bellows-guest: guest-tools/bellows-guest.c hv/abi/hypercall.h hv/abi/balloon.h $(call made_with,TOOL_FLAGS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@gcc $(TOOL_FLAGS) -static -s -DBELLOWS_VERSION='"test"' -o $@ $<

# For guests with a disk: the drivers, which Debian's kernel has as modules.
DISK_MODULES := $(addsuffix .ko,virtio/virtio_ring virtio/virtio virtio/virtio_mmio block/virtio_blk)
disk_modules  = $(foreach m,$(DISK_MODULES),"$$(dirname "$$(readlink $(BUILD)/guests/vmlinuz)")"/lib/modules/*/kernel/drivers/$(m))

$(BUILD)/guests/disk: $(GUEST_DIR)/disk.c $(call made_with,GUEST_FLAGS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@gcc $(GUEST_FLAGS) -o $@ $< -lpthread

DISK_HOLDS := $(addprefix $(BUILD)/guests/,workload disk bellows_balloon.ko)
$(BUILD)/guests/disk.img: $(GUEST_DIR)/initrd.sh $(GUEST_DIR)/disk_init $(DISK_HOLDS) $(BUILD)/guests/.kernel
	@echo "  INITRD  $@"
	@$(GUEST_DIR)/initrd.sh $@ $(GUEST_DIR)/disk_init $(DISK_HOLDS) $(disk_modules)

# For one that hibernates to such a disk with a balloon.
$(BUILD)/guests/hibernate.img: $(BUILD)/guests/initrd.img
	@echo "  INITRD  $@"
	@$(GUEST_DIR)/initrd.sh $@ $(GUEST_DIR)/init $(INITRD_HOLDS) $(disk_modules)

# Programs between firmware and loader, for machines whose firmware leaves x2APIC mode on, or lists a CPU too many.
$(FIRMWARE_PROGRAMS): $(BUILD)/%.efi: tests/emu/firmware/%.c tests/emu/firmware/start_loader.h \
		$(call made_with,LOADER_FLAGS efi_link efi_copy)
	@echo "  CC      $@"
	@mkdir -p $(BUILD)/firmware
	@gcc $(LOADER_FLAGS) -c -o $(BUILD)/firmware/$*.o $<
	@$(call efi_link,$(BUILD)/firmware/$*.o,$(BUILD)/firmware/$*.so)
	@$(call efi_copy,$(BUILD)/firmware/$*.so,$@)

# --- The guest tools' package --------------------------------------------------------------------

TOOLS_VERSION = 0.1.$(shell git rev-list --count HEAD 2>/dev/null || echo 0)+$(VERSION)

$(BUILD)/.guest-tools: $(DRIVER_SOURCES) $(wildcard guest-tools/*.* guest-tools/linux/*) $(call made_with,VERSION)
	@echo "  DEB     bellows-guest-tools $(TOOLS_VERSION)"
	@guest-tools/linux/deb.sh $(BUILD) $(TOOLS_VERSION)
	@touch $@

# --- The tools for watching a host ---------------------------------------------------------------

MONITOR_DIR   := guest-tools/monitor
MONITOR_FLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I. -DBELLOWS_VERSION='"$(VERSION)"'
MONITOR_SHARED := $(addprefix $(MONITOR_DIR)/,line.c options.c sample.c)
MONITOR_TOOLS := $(addprefix $(BUILD)/tools/,bellowstop bellows-exporter)

$(BUILD)/tools/bellowstop: $(addprefix $(MONITOR_DIR)/,bellowstop.c table.c) $(MONITOR_SHARED)
$(BUILD)/tools/bellowstop: private MONITOR_LIBS := -lncursesw
$(BUILD)/tools/bellows-exporter: $(addprefix $(MONITOR_DIR)/,bellows-exporter.c metrics.c) $(MONITOR_SHARED)
$(BUILD)/tools/bellows-exporter: private MONITOR_LIBS := -lmicrohttpd -lpthread

$(MONITOR_TOOLS): $(wildcard $(MONITOR_DIR)/*.h) $(call made_with,MONITOR_FLAGS)
	@echo "  CC      $@"
	@mkdir -p $(@D)
	@gcc $(MONITOR_FLAGS) -o $@ $(filter %.c,$^) -ljson-c $(MONITOR_LIBS)

$(BUILD)/.tools-package: $(MONITOR_TOOLS) $(wildcard $(MONITOR_DIR)/*) guest-tools/linux/copyright
	@echo "  DEB     bellows-tools $(TOOLS_VERSION)"
	@$(MONITOR_DIR)/deb.sh $(BUILD) $(TOOLS_VERSION)
	@touch $@

# --- Host tests --------------------------------------------------------------------------------
#
# A test is a file that opens with "/* SRCS: hv/vm/x.c mm/base/fmt.c LIBS: -lm */": the sources it is
# linked with (the comment may go on over lines, with a star or not; shell patterns are allowed; mm
# is all of mm, !FILE leaves one out) and libraries, if any.

tests_in   = $(patsubst %.c,$(BUILD)/%,$(shell grep -ls '^/\* SRCS:' /dev/null $(1)))
test_words = $(shell sed '/\*\//q' $(1) | tr '\n*' ' %' | sed 's|^/% SRCS:||; s|%/.*||; s|%|\*|g')
test_named = $(filter-out *,$(shell echo '$(call test_words,$(1))' | sed 's/LIBS:.*//'))
test_srcs  = $(call sources_of,$(call test_named,$(1)))
sources_of = $(filter-out $(patsubst !%,%,$(filter !%,$(1))),$(sort $(wildcard $(filter-out mm !%,$(1))) \
	$(if $(filter mm,$(1)),$(MM_SOURCES))))
test_libs  = $(shell echo '$(call test_words,$(1))' | sed -n 's/.*LIBS://p')

# All of mm/, and what that is linked with.
MM_SOURCES := $(filter mm/%.c,$(HV_SOURCES))
MM_LIBS := -llz4

HOST_TESTS := $(call tests_in,tests/unit/*.c tests/model/*.c tests/sim/*.c)
FUZZERS    := $(call tests_in,tests/fuzz/*.c)

SANITIZE   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HOST_FLAGS := -std=gnu11 -O1 -g -DBELLOWS_HOST $(SANITIZE) -Wall -Wextra -Werror -I.
# The loader's firmware side is tested against a fake firmware.
$(BUILD)/host/boot/%.o $(BUILD)/host/tests/unit/test_bootfirmware.o: private HOST_FLAGS += $(EFI_FLAGS)

.PHONY: host-tests fuzzers
host-tests: $(HOST_TESTS)
fuzzers: $(FUZZERS)

$(BUILD)/host/%.o: %.c $(call made_with,HOST_FLAGS EFI_FLAGS)
	@mkdir -p $(@D)
	@gcc $(HOST_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/fuzzed/%.o: %.c $(call made_with,HOST_FLAGS)
	@mkdir -p $(@D)
	@clang $(HOST_FLAGS) -Wno-unknown-warning-option -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

host_objects = $(patsubst %.c,$(BUILD)/$(1)/%.o,$(2) $(call test_srcs,$(2)))

$(BUILD)/tests/fuzz/%: $$(call host_objects,fuzzed,tests/fuzz/$$*.c)
	@echo "  FUZZER  $@"
	@mkdir -p $(@D)
	@clang $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(MM_LIBS) $(call test_libs,tests/fuzz/$*.c)

# Those that threads are to be watched in.
TSAN := -fsanitize=thread -fno-omit-frame-pointer
$(BUILD)/tsan/%.o: %.c $(call made_with,HOST_FLAGS TSAN)
	@mkdir -p $(@D)
	@gcc $(filter-out $(SANITIZE),$(HOST_FLAGS)) $(TSAN) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%_tsan: $$(call host_objects,tsan,tests/$$*_tsan.c)
	@echo "  TEST    $@"
	@mkdir -p $(@D)
	@gcc $(TSAN) -o $@ $^ -lpthread $(MM_LIBS) $(call test_libs,tests/$*_tsan.c)

$(BUILD)/tests/%: $$(call host_objects,host,tests/$$*.c)
	@echo "  TEST    $@"
	@mkdir -p $(@D)
	@gcc $(SANITIZE) -o $@ $^ -lcmocka -lpthread $(MM_LIBS) $(call test_libs,tests/$*.c)

# --- Benches -----------------------------------------------------------------------------------
#
# tests/bench/bench_X.c names its sources as a test does; they are compiled as for the hypervisor, with no
# sanitizer and no check of lock ranks. LIBRARY is what all of them use.

BENCH_FLAGS   := -std=gnu11 -O2 -g -Wall -Wextra -Werror -I.
BENCH_LIBRARY := tests/bench/timing.c
bench_objects  = $(patsubst %.c,$(BUILD)/bench/obj/%.o,$(1) $(BENCH_LIBRARY) $(call test_srcs,$(1)))

$(BUILD)/bench/obj/%.o: %.c $(call made_with,BENCH_FLAGS)
	@mkdir -p $(@D)
	@gcc $(BENCH_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/bench/bench_%: $$(call bench_objects,tests/bench/bench_$$*.c)
	@echo "  BENCH   $@"
	@mkdir -p $(@D)
	@gcc -o $@ $^ -lpthread $(MM_LIBS) $(call test_libs,tests/bench/bench_$*.c)

# The bare exit that the hypervisor's are measured against: a UEFI program.
BARE_EXIT_OBJECTS := $(patsubst %,$(BUILD)/loader/%.o,$(sort $(wildcard tests/bench/bare_exit/*.c)))

$(BUILD)/bench/bare_exit.efi: $(BUILD)/bench/bare_exit.so $(call made_with,efi_copy)
	@$(call efi_copy,$<,$@)

$(BUILD)/bench/bare_exit.so: $(BARE_EXIT_OBJECTS) $(call made_with,BARE_EXIT_OBJECTS efi_link)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	@$(call efi_link,$(filter %.o,$^),$@)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
