/* The names of errors, as messages show them. */
#include "mm/base/err.h"

const char *err_name(err_t err)
{
	switch (err) {
	case E_OK:
		return "ok";
	case E_NOMEM:
		return "out of memory";
	case E_RANGE:
		return "out of range";
	case E_INVAL:
		return "malformed";
	case E_BUSY:
		return "in use";
	case E_WAIT:
		return "not yet";
	case E_NOTFOUND:
		return "not found";
	case E_EXIST:
		return "exists already";
	case E_CORRUPT:
		return "corrupt";
	case E_IO:
		return "I/O error";
	case E_UNSUPPORTED:
		return "not supported";
	case E_LIMIT:
		return "limit reached";
	default:
		return "unknown error";
	}
}
