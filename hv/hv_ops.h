/* The backend that hv/main.c chose at boot: VT-x or SVM. */
#ifndef HV_HV_OPS_H
#define HV_HV_OPS_H

#include "hv/x86/virt.h"

extern const struct virt_ops *hv_ops; /* set once, before sched_run(), never changed */

#endif
