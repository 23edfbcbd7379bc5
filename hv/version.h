/* The hypervisor's version, in one place. */
#ifndef HV_VERSION_H
#define HV_VERSION_H

#define BELLOWS_VERSION "0.1"

#endif
