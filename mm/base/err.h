/*
 * Recoverable errors: negative values of err_t, 0 is success. A guest's misdeed is not an error of
 * this kind but an answer to the guest; a broken hypervisor is a CHECK().
 */
#ifndef MM_BASE_ERR_H
#define MM_BASE_ERR_H

typedef int err_t;

enum {
	E_OK = 0,
	E_NOMEM = -1, /* no frame, or no room in a fixed pool */
	E_RANGE = -2, /* an address or number outside what is there */
	E_INVAL = -3, /* malformed argument or input */
	E_BUSY = -4,  /* in use; try when it is not */
	E_WAIT = -5,  /* not yet: park, and try the same again */
	E_NOTFOUND = -6,
	E_EXIST = -7,        /* there already */
	E_CORRUPT = -8,      /* checksum or structure is wrong */
	E_IO = -9,           /* the device failed the request */
	E_UNSUPPORTED = -10, /* this CPU, device or build cannot */
	E_LIMIT = -11,       /* a configured bound would be broken */
};

/* A short English name ("out of memory"), never NULL. */
const char *err_name(err_t err);

#endif
