/* runtime/errno_internal.h -- the operating system's errors in our terms, in one place. */
#ifndef RUNTIME_ERRNO_INTERNAL_H
#define RUNTIME_ERRNO_INTERNAL_H

#include "runtime/error.h"

/* The code for a positive errno value; 0 is URD_OK.  What has no better name is URD_E_SYSTEM.
 * Callers take errno into a variable right after the call: it does not survive a suspension. */
urd_err urd_err_from_errno(int err);

/* The same for what is not stable storage (sockets, pipes, descriptors, processes): nothing there
 * is URD_E_IO or URD_E_STORAGE_FULL, whose classes speak of the disk. */
urd_err urd_err_from_net_errno(int err);

#endif
