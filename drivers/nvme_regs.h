/*
 * NVMe as the specification lays it out: registers, queue entries, commands, identify data. Titles
 * are those of the NVM Express Base Specification (1.x in parentheses where 2.x moved them).
 */
#ifndef DRIVERS_NVME_REGS_H
#define DRIVERS_NVME_REGS_H

#include "mm/base/types.h"

/* --- "Controller Properties" (1.x: "Controller Registers") ------------------------------------ */

#define NVME_CAP       0x00 /* "Controller Capabilities" */
#define NVME_VS        0x08 /* "Version" */
#define NVME_INTMS     0x0c /* "Interrupt Mask Set": pins and MSI only */
#define NVME_INTMC     0x10 /* "Interrupt Mask Clear" */
#define NVME_CC        0x14 /* "Controller Configuration" */
#define NVME_CSTS      0x1c /* "Controller Status" */
#define NVME_AQA       0x24 /* "Admin Queue Attributes" */
#define NVME_ASQ       0x28 /* "Admin Submission Queue Base Address" */
#define NVME_ACQ       0x30 /* "Admin Completion Queue Base Address" */
#define NVME_DOORBELLS 0x1000

#define NVME_CAP_MQES(cap)   ((u32)((cap)&0xffff))       /* entries - 1 */
#define NVME_CAP_TO(cap)     ((u32)((cap) >> 24 & 0xff)) /* 500 ms each */
#define NVME_CAP_DSTRD(cap)  ((u32)((cap) >> 32 & 0xf))
#define NVME_CAP_CSS_NVM     BIT(37)
#define NVME_CAP_MPSMIN(cap) ((u32)((cap) >> 48 & 0xf)) /* pages of 4 KiB << this */

#define NVME_CC_EN     BIT(0)
#define NVME_CC_IOSQES (6u << 16) /* log2 of an entry's bytes */
#define NVME_CC_IOCQES (4u << 20)

#define NVME_CSTS_RDY BIT(0)
#define NVME_CSTS_CFS BIT(1) /* "Controller Fatal Status" */

#define NVME_VERSION_1_1 0x10100u

/* --- "Submission Queue Entry", "Completion Queue Entry" --------------------------------------- */

struct nvme_command {
	u8 opcode, flags;
	u16 id;
	u32 nsid;
	u32 dword2, dword3;
	u64 metadata;
	u64 prp1, prp2; /* "Physical Region Page Entry and List" */
	u32 dword10, dword11, dword12, dword13, dword14, dword15;
};
_Static_assert(sizeof(struct nvme_command) == 64, "submission queue entry");

struct nvme_completion {
	u32 result;
	u32 reserved;
	u16 sq_head, sq_id;
	u16 command_id;
	u16 status; /* bit 0 is the phase tag */
};
_Static_assert(sizeof(struct nvme_completion) == 16, "completion queue entry");

#define NVME_PHASE        1u
#define NVME_STATUS(raw)  ((u16)((raw) >> 1 & 0x7ff)) /* type (10:8) and code (7:0) */
#define NVME_DO_NOT_RETRY 0x8000u

/* "Status Field", type and code together */
#define NVME_STATUS_INVALID_FIELD    0x002u
#define NVME_STATUS_ABORT_REQUESTED  0x007u
#define NVME_STATUS_LBA_OUT_OF_RANGE 0x080u

/* --- "Admin Command Set" ---------------------------------------------------------------------- */

#define NVME_ADMIN_CREATE_SQ    0x01
#define NVME_ADMIN_CREATE_CQ    0x05
#define NVME_ADMIN_IDENTIFY     0x06
#define NVME_ADMIN_ABORT        0x08
#define NVME_ADMIN_SET_FEATURES 0x09

#define NVME_IDENTIFY_NAMESPACE  0u
#define NVME_IDENTIFY_CONTROLLER 1u
#define NVME_IDENTIFY_ACTIVE     2u /* "Active Namespace ID list" */

#define NVME_FEATURE_QUEUE_COUNT 0x07u

#define NVME_QUEUE_CONTIGUOUS 1u
#define NVME_QUEUE_INTERRUPTS 2u

/* "Identify Controller Data Structure": offsets */
#define NVME_ID_SERIAL 4   /* 20 bytes */
#define NVME_ID_MODEL  24  /* 40 bytes */
#define NVME_ID_MDTS   77  /* log2, in smallest pages; 0: no limit */
#define NVME_ID_NN     516 /* u32 */
#define NVME_ID_ONCS   520 /* u16 */
#define NVME_ID_VWC    525

#define NVME_ONCS_DEALLOCATE   BIT(2)
#define NVME_ONCS_WRITE_ZEROES BIT(3)

/* "Identify Namespace Data Structure": offsets */
#define NVME_NS_SIZE    0  /* u64, blocks */
#define NVME_NS_NLBAF   25 /* formats - 1 */
#define NVME_NS_FLBAS   26
#define NVME_NS_FORMATS 128 /* u32 each: metadata bytes (15:0), log2 of the block (23:16) */

/* --- "NVM Command Set" ------------------------------------------------------------------------ */

#define NVME_CMD_FLUSH        0x00
#define NVME_CMD_WRITE        0x01
#define NVME_CMD_READ         0x02
#define NVME_CMD_WRITE_ZEROES 0x08
#define NVME_CMD_DATASET      0x09 /* "Dataset Management" */

#define NVME_DATASET_DEALLOCATE BIT(2)

struct nvme_range {
	u32 attributes;
	u32 block_count;
	u64 block;
};
_Static_assert(sizeof(struct nvme_range) == 16, "dataset management range");

#endif
